"""Text of numbers, of lists and of progress, the same for tables, pictures and reports."""
