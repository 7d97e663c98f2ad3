# SPDX-License-Identifier: MIT
#
# What check_csv.sh and check_suite_csv.sh share: columns by name and type.
#
#	-v script=NAME		for messages
#	-v columns="name:type name:type? ..."
#
# A type: s name, n whole number, r number, q share from 0 to 1, b 0 or 1; with ? it may
# be empty.

function complain(what) {
	printf "%s: line %d: %s\n", script, FNR, what
	bad++
}

function has_type(value, type) {
	if (type == "s")
		return value ~ /^[a-z][a-z0-9_-]*$/
	if (type == "n")
		return value ~ /^[0-9]+$/
	if (type == "b")
		return value ~ /^[01]$/
	if (value !~ /^[0-9]+(\.[0-9]+)?$/)
		return 0
	return type == "r" || value <= 1
}

# This line is the header: it begins with the columns, in their order.
function check_names(	i) {
	nr_fields = NF
	for (i = 1; i <= nr_columns; i++)
		if ($i != name[i])
			complain("column " i " is \"" $i "\", not \"" name[i] "\"")
}

# This line has as many fields as the header, of the right types.
function check_fields(	i) {
	if (NF != nr_fields)
		complain(NF " fields, the header has " nr_fields)
	for (i = 1; i <= nr_columns; i++)
		if (!($i == "" && optional[i]) && !has_type($i, type[i]))
			complain(name[i] " is \"" $i "\"")
}

BEGIN {
	nr_columns = split(columns, column, /[ \t\n]+/)
	for (i = 1; i <= nr_columns; i++) {
		split(column[i], part, ":")
		name[i] = part[1]
		type[i] = substr(part[2], 1, 1)
		optional[i] = part[2] ~ /\?/
	}
}
