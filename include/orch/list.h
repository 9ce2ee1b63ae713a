/**
 * @file list.h
 * @brief Lists of executions, by filter and page by page.
 */
#ifndef ORCH_LIST_H
#define ORCH_LIST_H

#include <orch/error.h>
#include <orch/execution.h>
#include <orch/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Which executions to list. */
typedef struct orch_filter orch_filter;
/** A page of executions. */
typedef struct orch_execution_list orch_execution_list;

/**
 * @brief Make a filter that lets everything pass, newest first, 100 a page.
 * @return the filter, freed by orch_filter_free; NULL if there is no memory
 */
ORCH_API orch_filter *orch_filter_new(void);
/**
 * @brief Free a filter.
 * @param filter the filter; NULL is harmless
 */
ORCH_API void orch_filter_free(orch_filter *filter);
/**
 * @brief Narrow a filter. Several calls with "state" add up; other keys replace.
 * @param filter the filter; not NULL
 * @param key one of
 *        "state" (a name such as "failed"), "workflow" (its id), "version" (exact),
 *        "accepted_from_ms", "accepted_to_ms", "ended_from_ms", "ended_to_ms" (UTC, half open; with one of the latter two, only what has ended),
 *        "parent" (an execution's id: its children), "start_key" (with "workflow"), "limit_key",
 *        "attribute" (NAME=VALUE, where VALUE is JSON: tenant="acme", size=3), "paused" ("true": only those; "false": only others),
 *        "order" ("newest" or "oldest"), "limit" (of a page, 1 to 10,000), "payloads" ("true" or "false"), "page" (what orch_execution_list_next
 *        gave), "everything" ("true": orch_v2_control_matching may take a filter that lets everything pass)
 * @param value the value as text
 * @param err where to put an error; may be NULL
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT with what is allowed
 */
ORCH_API int32_t orch_filter_set(orch_filter *filter, const char *key, const char *value,
                                 orch_error **err);

/**
 * @brief Get the number of executions on a page.
 * @param list the page; NULL reads as 0
 * @return how many
 */
ORCH_API size_t orch_execution_list_count(const orch_execution_list *list);
/**
 * @brief Get one of them.
 * @param list the page
 * @param i 0 to count - 1
 * @return the execution, owned by the page; NULL beyond its end
 */
ORCH_API const orch_response *orch_execution_list_get(const orch_execution_list *list, size_t i);
/**
 * @brief Get where the next page begins: the value for the filter's key "page".
 * @param list the page
 * @return text owned by the page; NULL if there is no further page. A page may hold fewer than the limit, even none, and have a next one:
 *         the search for a rare match is done in bounded parts
 */
ORCH_API const char *orch_execution_list_next(const orch_execution_list *list);
/**
 * @brief Free a page.
 * @param list the page; NULL is harmless
 */
ORCH_API void orch_execution_list_free(orch_execution_list *list);

/**
 * @brief List executions by filter, a page at a time.
 * @param orch the orchestrator; not NULL
 * @param filter which; NULL = all, newest first
 * @param out_list the page, freed by orch_execution_list_free; unchanged on failure
 * @param err where to put an error; may be NULL
 * @return ORCH_OK; ORCH_E_NOT_FOUND if the filter's parent does not exist; ORCH_E_INVALID_ARGUMENT (a start_key without a workflow);
 *         ORCH_E_FAILED_PRECONDITION in a forked child; ORCH_E_RESOURCE_EXHAUSTED
 * As orch_v2_get_execution; writers do not wait for it.
 */
ORCH_API int32_t orch_v2_list_executions(orch_v2 *orch, const orch_filter *filter,
                                         orch_execution_list **out_list, orch_error **err);

#ifdef __cplusplus
}
#endif
#endif
