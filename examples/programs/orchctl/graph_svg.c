/* SVG, laid out by layers from left to right. */
#include <stdio.h>

#include "orchctl.h"

#define BOX_W  150
#define BOX_H  44
#define STEP_X 210
#define STEP_Y 64
#define MARGIN 20

static void put_text(const char *text)
{
    for (; *text; text++)
        switch (*text) {
        case '<': fputs("&lt;", stdout); break;
        case '&': fputs("&amp;", stdout); break;
        default: putchar(*text); break;
        }
}

static int x_of(const graph *g, size_t i)
{
    return MARGIN + (int)g->layer[i] * STEP_X;
}

/* Layers are centred. */
static int y_of(const graph *g, size_t i)
{
    size_t in_layer = 0;

    for (size_t j = 0; j < g->count; j++)
        in_layer += g->layer[j] == g->layer[i];
    return MARGIN + (int)g->place[i] * STEP_Y + (int)(g->widest - in_layer) * STEP_Y / 2;
}

static void put_edges(const graph *g, size_t to)
{
    json_t *dependency;
    size_t k;

    json_array_foreach(json_object_get(json_array_get(g->steps, to), "depends_on"), k, dependency)
    {
        size_t from = graph_step(g, json_string_value(dependency));
        int x1 = x_of(g, from) + BOX_W, y1 = y_of(g, from) + BOX_H / 2;
        int x2 = x_of(g, to), y2 = y_of(g, to) + BOX_H / 2, bend = (x2 - x1) / 2;

        printf("<path d=\"M%d %dC%d %d %d %d %d %d\" fill=\"none\" stroke=\"#789\" "
               "marker-end=\"url(#a)\"/>\n",
               x1, y1, x1 + bend, y1, x2 - bend, y2, x2, y2);
    }
}

static void put_box(const graph *g, size_t i)
{
    const json_t *step = json_array_get(g->steps, i);
    int x = x_of(g, i), y = y_of(g, i);

    printf("<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"6\" fill=\"#eef4fb\" "
           "stroke=\"#456\"/>\n<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">",
           x, y, BOX_W, BOX_H, x + BOX_W / 2, y + 19);
    put_text(text_of(step, "id"));
    printf("</text>\n<text x=\"%d\" y=\"%d\" text-anchor=\"middle\" fill=\"#678\" "
           "font-size=\"10\">",
           x + BOX_W / 2, y + 34);
    put_text(text_of(step, "executor"));
    printf("</text>\n");
}

void graph_svg(const graph *g)
{
    printf("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
           "font-family=\"sans-serif\" font-size=\"13\">\n"
           "<defs><marker id=\"a\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" "
           "markerHeight=\"8\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"#789\"/></marker>"
           "</defs>\n",
           2 * MARGIN + (int)(g->layers ? g->layers - 1 : 0) * STEP_X + BOX_W,
           2 * MARGIN + (int)(g->widest ? g->widest - 1 : 0) * STEP_Y + BOX_H);
    for (size_t i = 0; i < g->count; i++)
        put_edges(g, i);
    for (size_t i = 0; i < g->count; i++)
        put_box(g, i);
    printf("</svg>\n");
}
