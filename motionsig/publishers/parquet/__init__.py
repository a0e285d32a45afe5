"""A folder of Parquet files as a store of many devices' signatures and events: a dataset that other engines read.

    DIR/signatures/day=YYYY-MM-DD/NUMBER.parquet   by the UTC day of start; sorted by (device, stream_id, seq)
    DIR/events/day=YYYY-MM-DD/NUMBER.parquet       by the UTC day of start_ns
    DIR/encoders/encoders.parquet                  what turns codes into values, by number of the encoder
    DIR/_motionsig/                                what is ours alone; engines skip names that begin with _

Small batches come many times a second and a file for each of them would be wrong. So a batch first goes into a store of
SQLite, the tail (_motionsig/tail-NUMBER.db). When it has enough rows, or when its first row is old enough, the whole
tail is rolled: its rows become one file for each day, named by the tail's number.

A roll is: write the files; note in _motionsig/index.db, in one transaction, which keys they hold and that this number
is done; begin the next tail; delete this one. As long as a number is not done its tail is complete, and a roll
that was cut short is made again and replaces its own files. So kill -9 at any moment loses nothing and doubles nothing.
Our own reader takes the rows of a tail that is there, and passes over files with its number.

The index holds ranges of numbers for each stream and day. With them a signature that comes again is found in the files
of one day, and compared with what is stored there.
"""
