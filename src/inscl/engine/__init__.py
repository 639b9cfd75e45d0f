"""A configuration in, working parts out; stages planned, taught, scored and recorded."""
