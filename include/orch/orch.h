/**
 * @file orch.h
 * @brief liborch: durable workflows in one library. This header brings all others.
 */
#ifndef ORCH_ORCH_H
#define ORCH_ORCH_H

#include <orch/audit.h>
#include <orch/bulk.h>
#include <orch/client.h>
#include <orch/codec.h>
#include <orch/config.h>
#include <orch/control.h>
#include <orch/engine.h>
#include <orch/error.h>
#include <orch/execution.h>
#include <orch/export.h>
#include <orch/history.h>
#include <orch/launcher.h>
#include <orch/list.h>
#include <orch/log.h>
#include <orch/service.h>
#include <orch/settings.h>
#include <orch/start.h>
#include <orch/steps.h>
#include <orch/subworkflows.h>
#include <orch/testing.h>
#include <orch/transport.h>
#include <orch/types.h>
#include <orch/v1.h>
#include <orch/v2.h>
#include <orch/version.h>
#include <orch/workflow.h>

#endif
