"""What a process tells about itself: JSON logs, traces and metrics."""
