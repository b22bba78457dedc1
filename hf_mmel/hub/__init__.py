"""The model card, and what is kept out of what is published."""
