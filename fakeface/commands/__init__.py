"""What the command `fakeface` runs: a module per subcommand."""
