/* Whether the tables of a SQLite store agree with each other, as somebody sees who opens the file beside it. */
#ifndef TESTS_STORE_TABLES_H
#define TESTS_STORE_TABLES_H

/* NULL, or a query that finds what contradicts itself, or the error that the file gives. Static text. */
const char *store_contradiction(const char *path);

#endif
