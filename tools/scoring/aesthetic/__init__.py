"""LAION aesthetic score of images and videos."""
