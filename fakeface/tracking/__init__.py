"""MLflow runs, and the store that they are in; the only room with MLflow. Nothing in it ever ends a training or a report."""
