/**
 * @file error.h
 * @brief Status codes and the error object.
 *
 * Codes are gRPC's canonical codes with their numbers, negated
 * (https://grpc.io/docs/guides/status-codes/), so that one set of words holds from the wire to the
 * API.
 */
#ifndef ORCH_ERROR_H
#define ORCH_ERROR_H

#include <orch/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Success. */
#define ORCH_OK                    0
/** Cancelled, usually by the caller. */
#define ORCH_E_CANCELLED           (-1)
/** An error of unknown kind. */
#define ORCH_E_UNKNOWN             (-2)
/** An argument or a document is wrong, whatever the state; do not try again unchanged. */
#define ORCH_E_INVALID_ARGUMENT    (-3)
/** The time allowed ran out. */
#define ORCH_E_DEADLINE_EXCEEDED   (-4)
/** The named thing does not exist. */
#define ORCH_E_NOT_FOUND           (-5)
/** The thing to be made exists already. */
#define ORCH_E_ALREADY_EXISTS      (-6)
/** Not allowed. */
#define ORCH_E_PERMISSION_DENIED   (-7)
/** A limit is reached (queue, memory, size); trying again later may help. */
#define ORCH_E_RESOURCE_EXHAUSTED  (-8)
/** Not possible in the present state. */
#define ORCH_E_FAILED_PRECONDITION (-9)
/** Given up because of a conflict; trying again may help. */
#define ORCH_E_ABORTED             (-10)
/** Past the valid range. */
#define ORCH_E_OUT_OF_RANGE        (-11)
/** This build or version does not have it. */
#define ORCH_E_UNIMPLEMENTED       (-12)
/** Something inside is broken. */
#define ORCH_E_INTERNAL            (-13)
/** Not available now; trying again later may help. */
#define ORCH_E_UNAVAILABLE         (-14)
/** Stored data is lost or damaged. */
#define ORCH_E_DATA_LOSS           (-15)
/** The caller is not known. */
#define ORCH_E_UNAUTHENTICATED     (-16)

/** What went wrong: a code, a message, whether trying again may help, and what it is about. */
typedef struct orch_error orch_error;

/**
 * @brief Get the code.
 * @param error the error; NULL reads as ORCH_OK
 * @return a negative ORCH_E_ code, or ORCH_OK for NULL
 * Any thread; does not block.
 */
ORCH_API int32_t orch_error_code(const orch_error *error);

/**
 * @brief Get the message: what is wrong, with which thing, and what is allowed.
 * @param error the error; NULL reads as ""
 * @return UTF-8 text owned by the error, valid until orch_error_free
 * Any thread; does not block.
 */
ORCH_API const char *orch_error_message(const orch_error *error);

/**
 * @brief Get what the error is about: a workflow, step, key, file or "line:column".
 * @param error the error; NULL reads as ""
 * @return UTF-8 text owned by the error, "" where there is no such thing
 * Any thread; does not block.
 */
ORCH_API const char *orch_error_about(const orch_error *error);

/**
 * @brief Tell whether the same call may succeed later without any change by the caller.
 * @param error the error; NULL reads as 0
 * @return 1 if trying again may help, else 0
 * Any thread; does not block.
 */
ORCH_API int32_t orch_error_retryable(const orch_error *error);

/**
 * @brief Free an error.
 * @param error the error; NULL is harmless
 * Any thread; does not block.
 */
ORCH_API void orch_error_free(orch_error *error);

/**
 * @brief Get the canonical name of a code, such as "NOT_FOUND".
 * @param code a code of this file, negative or (as on the wire) positive
 * @return a static string; "UNKNOWN" for numbers that are no code
 * Any thread; does not block.
 */
ORCH_API const char *orch_code_name(int32_t code);

#ifdef __cplusplus
}
#endif
#endif
