/* Most conditions compare members with literals: `input.total > 100 and steps.a.output.ok`. That such a one is good Lua is
 * seen here, for a small part of what compiling it costs. Whatever is not seen at once is left to Lua: calls, indexes
 * that are computed, tables, functions, escapes, exponents, comments. */
#include <string.h>

#include "workflow/sandbox_impl.h"

#define MAX_TOKENS 64 /* so that no limit of Lua's parser (200 levels, 255 registers) comes near */
#define MAX_DIGITS 15

typedef struct look {
    const char *p, *end;
    int tokens;
    int depth; /* of parentheses */
} look;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static char next(const look *l)
{
    return l->p < l->end ? *l->p : '\0';
}

static void skip_spaces(look *l)
{
    while (next(l) == ' ')
        l->p++;
}

static bool take(look *l, const char *token)
{
    size_t len = strlen(token);

    if ((size_t)(l->end - l->p) < len || memcmp(l->p, token, len) != 0)
        return false;
    l->p += len;
    return true;
}

static size_t word_length(const look *l)
{
    const char *p = l->p;

    if (p == l->end || !is_letter(*p))
        return 0;
    while (p < l->end && (is_letter(*p) || is_digit(*p)))
        p++;
    return (size_t)(p - l->p);
}

static bool is_among(const char *word, size_t len, const char *const *words)
{
    for (; *words; words++)
        if (strlen(*words) == len && !memcmp(word, *words, len))
            return true;
    return false;
}

static bool take_name(look *l)
{
    static const char *const reserved[] = {
        "and",      "break",  "do",   "else", "elseif", "end",   "false", "for",
        "function", "goto",   "if",   "in",   "local",  "nil",   "not",   "or",
        "repeat",   "return", "then", "true", "until",  "while", NULL};
    size_t len = word_length(l);

    if (!len || is_among(l->p, len, reserved))
        return false;
    l->p += len;
    return true;
}

static bool take_number(look *l)
{
    const char *from = l->p;

    while (is_digit(next(l)))
        l->p++;
    if (l->p > from && next(l) == '.' && l->end - l->p > 1 && is_digit(l->p[1]))
        for (l->p++; is_digit(next(l));)
            l->p++;
    return l->p > from && l->p - from <= MAX_DIGITS && next(l) != '.' && !is_letter(next(l));
}

static bool take_string(look *l)
{
    char quote = next(l);

    if (quote != '"' && quote != '\'')
        return false;
    for (l->p++; l->p < l->end && *l->p != quote; l->p++)
        if ((unsigned char)*l->p < ' ' || *l->p == '\\')
            return false;
    return l->p++ < l->end;
}

/* `.name`, `["name"]` and `[1]` behind a name. */
static bool take_members(look *l)
{
    for (;; l->tokens++) {
        if (next(l) == '.' && !(l->end - l->p > 1 && l->p[1] == '.')) {
            l->p++;
            if (!take_name(l))
                return false;
        } else if (next(l) == '[') {
            l->p++;
            if (!(is_digit(next(l)) ? take_number(l) : take_string(l)) || !take(l, "]"))
                return false;
        } else {
            return true;
        }
    }
}

static bool take_operand(look *l)
{
    static const char *const constants[] = {"true", "false", "nil", NULL};
    size_t word = word_length(l);

    if (word && is_among(l->p, word, constants)) {
        l->p += word;
        return true;
    }
    if (word)
        return take_name(l) && take_members(l);
    return is_digit(next(l)) ? take_number(l) : take_string(l);
}

static bool take_unary(look *l)
{
    if (word_length(l) == 3)
        return take(l, "not");
    if (next(l) == '-' && !(l->end - l->p > 1 && l->p[1] == '-')) {
        l->p++;
        return true;
    }
    return take(l, "#");
}

static bool take_binary(look *l)
{
    static const char *const operators[] = {"==", "~=", "<=", ">=", "<", ">", "+",
                                            "*",  "//", "/",  "%",  "^", NULL};
    size_t word = word_length(l);

    if (word)
        return (word == 3 && take(l, "and")) || (word == 2 && take(l, "or"));
    for (const char *const *o = operators; *o; o++)
        if (take(l, *o))
            return true;
    if (next(l) == '-' && !(l->end - l->p > 1 && l->p[1] == '-'))
        return take(l, "-");
    return take(l, "..") && next(l) != '.';
}

static bool take_open(look *l)
{
    bool open = take(l, "(");

    l->depth += open;
    return open;
}

/* What stands before an operand, the operand, and the parentheses behind it. */
static bool take_term(look *l)
{
    for (skip_spaces(l); take_unary(l) || take_open(l); skip_spaces(l))
        if (++l->tokens > MAX_TOKENS)
            return false;
    if (!take_operand(l))
        return false;
    for (skip_spaces(l); next(l) == ')' && l->depth > 0; skip_spaces(l)) {
        l->p++;
        l->depth--;
    }
    return true;
}

bool simple_expression(const char *code, size_t len)
{
    look l = {code, code + len, 0, 0};

    while (take_term(&l)) {
        if (l.p == l.end)
            return l.depth == 0;
        l.tokens += 2;
        if (l.tokens > MAX_TOKENS || !take_binary(&l))
            return false;
    }
    return false;
}
