"""What translates operators, a module for each family."""
