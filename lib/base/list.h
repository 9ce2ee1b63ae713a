/* Intrusive doubly linked list with a sentinel head. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

typedef struct list {
    struct list *next, *prev;
} list;

#define LIST_ENTRY(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))
#define LIST_EACH(it, head)            for (list *it = (head)->next; it != (head); it = it->next)

static inline void list_init(list *head)
{
    head->next = head->prev = head;
}

static inline bool list_empty(const list *head)
{
    return head->next == head;
}

static inline void list_push(list *head, list *node)
{
    node->next = head;
    node->prev = head->prev;
    head->prev->next = node;
    head->prev = node;
}

/* Remove; the node is then an empty list by itself, so removing twice is harmless. */
static inline void list_remove(list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

static inline list *list_pop(list *head) /* the first, or NULL */
{
    list *node = head->next;

    if (node == head)
        return NULL;
    list_remove(node);
    return node;
}

#endif
