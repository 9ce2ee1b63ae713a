/* The report as a page: no script, nothing from elsewhere, light or dark as the reader has it. */
#include <string.h>
#include <time.h>

#include "inventory.h"

#define BARS 12 /* of a chart; what is smaller is one bar together */

static const char head[] =
    "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<style>\n"
    ":root { color-scheme: light dark; --page: #f6f7f9; --card: #fff; --text: #1b2130; --soft: "
    "#5c6577;\n"
    "  --line: #e3e6ec; --bar: #3b6fd4; --track: #eef1f6; }\n"
    "@media (prefers-color-scheme: dark) { :root { --page: #12151c; --card: #1a1f29; --text: "
    "#e7eaf0;\n"
    "  --soft: #98a2b5; --line: #2b3240; --bar: #6f9bf0; --track: #242b38; } }\n"
    "* { box-sizing: border-box; }\n"
    "body { margin: 0; background: var(--page); color: var(--text);\n"
    "  font: 15px/1.5 system-ui, -apple-system, \"Segoe UI\", Roboto, sans-serif; }\n"
    "main { max-width: 1080px; margin: 0 auto; padding: 40px 24px 64px; }\n"
    "h1 { font-size: 26px; line-height: 1.25; margin: 0 0 4px; overflow-wrap: anywhere; }\n"
    "h2 { font-size: 16px; margin: 0 0 14px; }\n"
    "p { margin: 0; color: var(--soft); overflow-wrap: anywhere; }\n"
    "section { background: var(--card); border: 1px solid var(--line); border-radius: 10px;\n"
    "  padding: 20px; min-width: 0; }\n"
    ".grid { display: grid; gap: 16px; margin-top: 16px; }\n"
    ".tiles { grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); margin-top: 28px; }\n"
    ".tiles section { padding: 14px 20px; }\n"
    ".tiles b { display: block; font-size: 26px; line-height: 1.2; font-weight: 600; }\n"
    ".charts { grid-template-columns: repeat(auto-fit, minmax(380px, 1fr)); }\n"
    "svg { display: block; width: 100%; height: auto; }\n"
    "svg text { fill: var(--text); font-size: 13px; font-variant-numeric: tabular-nums; }\n"
    "svg .soft { fill: var(--soft); } svg .bar { fill: var(--bar); } svg .track { fill: "
    "var(--track); }\n"
    ".table { overflow-x: auto; margin-top: 16px; }\n"
    "table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }\n"
    "th { text-align: left; font-weight: 500; color: var(--soft); }\n"
    "th, td { padding: 6px 12px 6px 0; border-bottom: 1px solid var(--line); vertical-align: top; "
    "}\n"
    "tr:last-child td { border-bottom: 0; }\n"
    "td.n, th.n { text-align: right; white-space: nowrap; }\n"
    "td.name { font-family: ui-monospace, \"SF Mono\", Menlo, Consolas, monospace; font-size: "
    "13px;\n"
    "  overflow-wrap: anywhere; }\n"
    "@media (max-width: 480px) { .charts { grid-template-columns: 1fr; } main { padding: 24px "
    "14px; } }\n"
    "</style>\n";

/* ---- Words and numbers --------------------------------------------------------------------------------- */

static void escape(FILE *f, const char *text)
{
    for (const char *p = text; *p; p++) {
        switch (*p) {
        case '&': fputs("&amp;", f); break;
        case '<': fputs("&lt;", f); break;
        case '>': fputs("&gt;", f); break;
        case '"': fputs("&quot;", f); break;
        case '\n': fputs("\xe2\x90\xa4", f); break; /* the sign for a new line */
        default: fputc((unsigned char)*p < ' ' ? '?' : *p, f);
        }
    }
}

/* 1234567 → "1 234 567", with spaces that do not break. */
static void put_number(FILE *f, json_int_t n)
{
    char digits[32];
    int len = snprintf(digits, sizeof digits, "%lld", (long long)n);

    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0)
            fputs("\xe2\x80\xaf", f);
        fputc(digits[i], f);
    }
}

static void put_size(FILE *f, json_int_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double size = (double)bytes;
    int unit = 0;

    for (; size >= 1024 && unit < 4; unit++)
        size /= 1024;
    fprintf(f, unit && size < 100 ? "%.1f %s" : "%.0f %s", size, units[unit]);
}

static json_int_t number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static const char *word(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));

    return s ? s : "";
}

/* ---- Tiles --------------------------------------------------------------------------------------------- */

static void tile(FILE *f, const char *what, json_int_t value, void (*put)(FILE *, json_int_t))
{
    fputs("<section><b>", f);
    put(f, value);
    fprintf(f, "</b><p>%s</p></section>\n", what);
}

static void put_tiles(FILE *f, const json_t *summary)
{
    const json_t *total = json_object_get(summary, "total");
    json_int_t wasted = 0;
    json_t *group;
    size_t i;

    json_array_foreach(json_object_get(summary, "doubles"), i, group)
    {
        wasted += number(group, "wasted");
    }
    fputs("<div class=\"grid tiles\">\n", f);
    tile(f, "files", number(total, "files"), put_number);
    tile(f, "lines of text", number(total, "lines"), put_number);
    tile(f, "in all", number(total, "bytes"), put_size);
    tile(f, "in copies of other files", wasted, put_size);
    fputs("</div>\n", f);
}

/* ---- Charts -------------------------------------------------------------------------------------------- */

typedef struct chart {
    const char *title, *key;
    void (*put)(FILE *, json_int_t);
} chart;

/* One row: name, bar, value. Long names lose their beginning, which tells least. */
static void put_bar(FILE *f, const chart *c, const char *name, json_int_t value, json_int_t most,
                    size_t row)
{
    size_t len = strlen(name), skip = len > 18 ? len - 17 : 0;
    double width = most > 0 ? 250.0 * (double)value / (double)most : 0;
    unsigned y = (unsigned)row * 26;

    while (((unsigned char)name[skip] & 0xc0) == 0x80)
        skip++;
    fputs("<g><title>", f);
    escape(f, name);
    fputs(": ", f);
    put_number(f, value);
    fprintf(f, " %s</title><text x=\"0\" y=\"%u\">%s", c->key, y + 17, skip ? "\xe2\x80\xa6" : "");
    escape(f, name + skip);
    fprintf(f,
            "</text><rect class=\"track\" x=\"142\" y=\"%u\" width=\"250\" height=\"14\" rx=\"3\"/>"
            "<rect class=\"bar\" x=\"142\" y=\"%u\" width=\"%.1f\" height=\"14\" rx=\"3\"/>"
            "<text class=\"soft\" x=\"402\" y=\"%u\">",
            y + 6, y + 6, width < 2 && value ? 2 : width, y + 17);
    c->put(f, value);
    fputs("</text></g>\n", f);
}

static void put_chart(FILE *f, const chart *c, const json_t *groups)
{
    size_t count = json_array_size(groups), rows = count > BARS + 1 ? BARS : count, i;
    json_int_t most = 0, rest = 0;
    json_t *group;

    json_array_foreach(groups, i, group)
    {
        most = number(group, c->key) > most ? number(group, c->key) : most;
        rest += i >= rows ? number(group, c->key) : 0;
    }
    most = rest > most ? rest : most;
    fprintf(f,
            "<section><h2>%s</h2>\n<svg viewBox=\"0 0 480 %u\" role=\"img\" aria-label=\"%s\">\n",
            c->title, (unsigned)(rows + (count > rows)) * 26, c->title);
    for (i = 0; i < rows; i++) {
        group = json_array_get(groups, i);
        put_bar(f, c, word(group, "name"), number(group, c->key), most, i);
    }
    if (count > rows) {
        char name[32];

        snprintf(name, sizeof name, "%u others", (unsigned)(count - rows));
        put_bar(f, c, name, rest, most, rows);
    }
    fputs("</svg></section>\n", f);
}

/* ---- Tables -------------------------------------------------------------------------------------------- */

static void put_largest(FILE *f, const json_t *files)
{
    json_t *file;
    size_t i;

    fputs("<section class=\"table\"><h2>Largest files</h2><table>\n"
          "<tr><th>file<th class=\"n\">lines<th class=\"n\">size</tr>\n",
          f);
    json_array_foreach(files, i, file)
    {
        fputs("<tr><td class=\"name\">", f);
        escape(f, word(file, "name"));
        fputs("<td class=\"n\">", f);
        put_number(f, number(file, "lines"));
        fputs("<td class=\"n\">", f);
        put_size(f, number(file, "bytes"));
        fputs("</tr>\n", f);
    }
    fputs("</table></section>\n", f);
}

static void put_doubles(FILE *f, const json_t *doubles)
{
    json_t *group, *name;
    size_t i, k;

    fputs("<section class=\"table\"><h2>Files with the same content</h2>\n", f);
    if (!json_array_size(doubles)) {
        fputs("<p>None: every file is the only one of its content.</p></section>\n", f);
        return;
    }
    fputs("<table><tr><th>files<th class=\"n\">copies<th class=\"n\">size of each</tr>\n", f);
    json_array_foreach(doubles, i, group)
    {
        fputs("<tr><td class=\"name\">", f);
        json_array_foreach(json_object_get(group, "names"), k, name)
        {
            fputs(k ? "<br>" : "", f);
            escape(f, json_string_value(name));
        }
        if (number(group, "copies") > (json_int_t)k)
            fprintf(f, "<br>and %lld more", (long long)number(group, "copies") - (long long)k);
        fprintf(f, "<td class=\"n\">%lld<td class=\"n\">", (long long)number(group, "copies"));
        put_size(f, number(group, "bytes"));
        fputs("</tr>\n", f);
    }
    fputs("</table></section>\n", f);
}

/* ---- The page ------------------------------------------------------------------------------------------ */

static void put_notes(FILE *f, const json_t *total)
{
    if (number(total, "skipped"))
        fprintf(
            f,
            "<p>%lld names were left out: no regular files, not readable, gone meanwhile, or not "
            "UTF-8.</p>\n",
            (long long)number(total, "skipped"));
    if (json_is_true(json_object_get(total, "over_limit")))
        fprintf(f, "<p>The tree has more files; the first %d by name were looked at.</p>\n",
                MAX_FILES);
}

void html_write(FILE *f, const json_t *summary, const char *root, int64_t taken_ms)
{
    static const chart lines = {"Lines by kind of file", "lines", put_number};
    static const chart bytes = {"Size by folder", "bytes", put_size};
    const char *name = strrchr(root, '/');
    time_t taken = (time_t)(taken_ms / 1000);
    char when[64];
    struct tm tm;

    name = name && name[1] ? name + 1 : root;
    strftime(when, sizeof when, "%Y-%m-%d %H:%M", localtime_r(&taken, &tm));
    fputs(head, f);
    fputs("<title>Inventory of ", f);
    escape(f, name);
    fputs("</title>\n<main>\n<h1>Inventory of ", f);
    escape(f, name);
    fputs("</h1>\n<p>", f);
    escape(f, root);
    fprintf(f, ", %s</p>\n", when);
    put_notes(f, json_object_get(summary, "total"));
    put_tiles(f, summary);
    fputs("<div class=\"grid charts\">\n", f);
    put_chart(f, &lines, json_object_get(summary, "kinds"));
    put_chart(f, &bytes, json_object_get(summary, "folders"));
    fputs("</div>\n", f);
    put_largest(f, json_object_get(summary, "largest"));
    put_doubles(f, json_object_get(summary, "doubles"));
    fputs("</main>\n</html>\n", f);
}
