"""The cloud end: subscribe, check, store once, say what is missing.

A message is in the store and on the disk before the broker has its acknowledgement. What arrives while a transaction is
written goes into the next one, so the disk's speed does not bound the number of messages. A persistent session keeps
what arrives while the receiver is away, and several receivers may share one subscription ($share). The store drops what
comes twice; what is no message of ours is only counted.
"""

from motionsig.collector.inbox import CollectCounts
from motionsig.collector.receiving import collect, collect_options

__all__ = ["CollectCounts", "collect", "collect_options"]
