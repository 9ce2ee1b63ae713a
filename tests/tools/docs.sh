#!/bin/sh
# Makes the API reference from the public headers. A symbol without a comment, a parameter or a result that
# its comment does not name, fails.
#
#   docs.sh out-folder
set -eu

out=$1
mkdir -p "$out"

# The filter gives each header a @file, without which doxygen passes over its functions in silence.
doxygen - <<CONFIG
PROJECT_NAME           = liborch
PROJECT_NUMBER         = ${VERSION:-}
PROJECT_BRIEF          = "Durable, distributed workflow orchestrator as a library"
INPUT                  = include/orch
FILE_PATTERNS          = *.h
RECURSIVE              = YES
STRIP_FROM_PATH        = include
STRIP_FROM_INC_PATH    = include
INPUT_FILTER           = "sed '1s|^|/** @file */ |'"
OUTPUT_DIRECTORY       = $out
GENERATE_HTML          = YES
HTML_OUTPUT            = html
GENERATE_XML           = YES
XML_PROGRAMLISTING     = NO
GENERATE_LATEX         = NO
HAVE_DOT               = NO
OPTIMIZE_OUTPUT_FOR_C  = YES
JAVADOC_AUTOBRIEF      = YES
TYPEDEF_HIDES_STRUCT   = YES
SORT_MEMBER_DOCS       = NO
ENABLE_PREPROCESSING   = YES
MACRO_EXPANSION        = YES
EXPAND_ONLY_PREDEF     = YES
PREDEFINED             = ORCH_API=
EXTRACT_ALL            = NO
WARN_IF_UNDOCUMENTED   = YES
WARN_IF_DOC_ERROR      = YES
WARN_IF_INCOMPLETE_DOC = YES
WARN_NO_PARAMDOC       = YES
WARN_AS_ERROR          = FAIL_ON_WARNINGS
WARN_FORMAT            = "\$file:\$line: \$text"
QUIET                  = YES
CONFIG

# Doxygen says nothing of an enumerator without a comment; its XML shows it by an empty description.
awk '
    /<enumvalue / { inside = 1; text = ""; name = "" }
    inside && /<name>/ { name = $0; gsub(/.*<name>|<\/name>.*/, "", name) }
    inside && /<para>/ { text = "some" }
    /<\/enumvalue>/ { if (text == "") { print "enumerator " name " is not documented"; bad = 1 } inside = 0 }
    END { exit bad }' "$out"/xml/*_8h.xml >&2
echo "  HTML $out/html/index.html"
