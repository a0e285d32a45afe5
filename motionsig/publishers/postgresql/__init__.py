"""postgresql://USER@HOST/DB: signatures and events of many devices in a PostgreSQL database.

`address` reads the URL, `tables` makes what is needed in the database, `rows` turns messages into rows, `store` writes
them, `retention` drops what is too old, `reading` reads back.
"""
