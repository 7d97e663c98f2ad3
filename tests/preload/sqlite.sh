#!/bin/bash
# SPDX-License-Identifier: MIT
#
# sqlite3 with a million rows, in memory and in a file.
set -euo pipefail

. "$(dirname "$0")/preload.sh"

require_programs sqlite3

cat >"$tap_dir/million.sql" <<'END'
.bail on
CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, part INTEGER, note BLOB);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)
INSERT INTO item
	SELECT i, printf('item %07d', i * 7919 % 1000003), i % 1000,
	       CASE WHEN i % 100 = 0 THEN zeroblob(i % 5000) END
	FROM n;
CREATE INDEX item_by_name ON item (name);
SELECT count(*), sum(id), sum(length(note)), min(name), max(name) FROM item;
SELECT count(*) FROM (SELECT part, group_concat(name) FROM item GROUP BY part);
SELECT count(*) FROM item a JOIN item b ON b.name = a.name WHERE a.id % 10 = 0;
DELETE FROM item WHERE id % 3 = 0;
UPDATE item SET name = name || ' again' WHERE part < 100;
VACUUM;
PRAGMA integrity_check;
SELECT count(*), sum(id) FROM item;
END

# 100,000 rows of the join are those with one partner each: names are all different.
expected='1000000|500000500000|24500000|item 0000001|item 1000002
1000
100000
ok
666667|333333666667'

gives_expected() {
	preloaded sqlite3 "$1" <"$tap_dir/million.sql" >"$tap_dir/answers"
	diff <(echo "$expected") "$tap_dir/answers"
}

check 'a million rows in memory' gives_expected :memory:
check 'a million rows in a file' gives_expected "$tap_dir/million.db"
check 'sqlite3 was served by the library' is_served sqlite3

tap_end
