"""Input layer → recurrent layers → output layer; one file a task."""
