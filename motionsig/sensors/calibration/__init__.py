"""What one sensor gets wrong, how that is found at rest, and where it is stored.

At rest the length of specific force is local gravity, whichever way the device lies, so nothing has to be level: the
accelerometer's errors are those that make |a| the same in all poses. Six poses, one on each face, always give exactly
one bias and one scale per axis, so that the fit goes through them proves nothing. Leaning poses prove it: a fit without
such a pose predicts its |a|, and the error of that prediction is the residual. It shows a pose that moved, a face whose
reading was wrong, skew between the axes, and a scale that is not linear. It cannot show a wrong `gravity` (all poses
share it) or a rotation of the whole chip in its case (that is the mount).
"""
