"""The score matrix that the tests of the metrics work by hand."""

import numpy as np

# T = 3. Rows: base model, after A, after B, after C. Columns: A, B, C.
SCORES = np.array(
    [
        [10.0, 20.0, 5.0],
        [80.0, 24.0, 9.0],
        [60.0, 50.0, 11.0],
        [40.0, 55.0, 90.0],
    ]
)
EXPERTS = np.array([100.0, 50.0, 80.0])
