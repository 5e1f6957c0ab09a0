"""Training: options, schedule, loop, checkpoints, logs; a run from data to a model's folder."""
