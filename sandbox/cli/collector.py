"""The garbage collector of `sandbox up`: at rest during the start, and afterwards not concerned with what it made.

A start makes some hundred thousand objects that stay for good: functions, classes, settings. Going through them all
again and again takes a tenth of the start, and later lets everybody wait now and then.
"""

import gc

from sandbox.collector import resting_collector as resting_collector


def leave_out_the_start() -> None:
    """Never look again at what is there now, once its garbage is gone."""
    gc.collect()
    gc.freeze()
