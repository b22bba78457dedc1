"""Words, candidates, edits and random draws that all text augmenters share."""
