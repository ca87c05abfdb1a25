"""Names of the files that stages make, and to which table each belongs: none replaces a file of another."""
