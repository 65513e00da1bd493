"""What is read and never decided on: lists, keyset-paged, answers and totals."""
