"""The numbers of the larger operators: plain functions on numpy arrays, which know no operator but their own."""
