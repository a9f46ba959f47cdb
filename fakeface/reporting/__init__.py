"""From numbers to figures, pages and the model card."""
