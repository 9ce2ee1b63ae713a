// What a step costs when nothing is stored on a disk and the step itself does nothing: graphs of no-op steps, registered
// and executed through the public API on the store `memory:`. Beside them in the same run: oneTBB's flow graph on one
// thread, and a bare loop over counters, on the same graphs; jansson's bare parse of the same text. Chains with Lua in each step
// are registered only.
//
// Knobs: N (steps; 100000), REPEAT (executions after the first; 5), LARGE (0.5 = leave the graph of 10 N steps out).
#include <jansson.h>
#include <malloc.h>
#include <orch/orch.h>

#include <time.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <tbb/flow_graph.h>
#include <tbb/global_control.h>

#include "bench/bench.h"
#include "bench/graph.h"

namespace
{

struct timings {
    double build_ns = 0; // of one step, as are the rest
    double first_ns = 0, again_ns = 0, best_ns = 0;
    double cpu_ns =
        0; // of the best, by all threads: what a machine with other work to do shows as well
};

void print(const std::string &name, const char *metric, double value, const char *unit)
{
    bench_result("dag", name.c_str(), metric, value, unit);
}

void print(const std::string &name, const timings &t)
{
    print(name, "first_run", t.first_ns, "ns/step");
    print(name, "again_median", t.again_ns, "ns/step");
    print(name, "again_best", t.best_ns, "ns/step");
    print(name, "again_cpu", t.cpu_ns, "ns/step");
}

int64_t cpu_now_ns()
{
    timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return int64_t(t.tv_sec) * 1000000000 + t.tv_nsec;
}

// Runs it once, then `repeat` times.
template <typename Run> void measure(const graph &g, int repeat, timings &t, Run run)
{
    bench_samples again = {}, cpu = {};

    for (int i = 0; i <= repeat; i++) {
        int64_t from = bench_now_ns(), cpu_from = cpu_now_ns();
        run();
        double ns = double(bench_now_ns() - from) / g.nodes;

        if (i == 0)
            t.first_ns = ns;
        else
            bench_add(&again, ns);
        bench_add(&cpu, double(cpu_now_ns() - cpu_from) / g.nodes);
    }
    t.again_ns = bench_percentile(&again, 50);
    t.best_ns = bench_percentile(&again, 0);
    t.cpu_ns = bench_percentile(&cpu, 0);
    bench_clear(&again);
    bench_clear(&cpu);
}

// ---- liborch ----------------------------------------------------------------------------------------------

orch_v2 *open_orchestrator()
{
    orch_config *config = orch_config_new();
    orch_error *error = nullptr;
    orch_v2 *orch = nullptr;

    if (config && !orch_config_set(config, "STORE_URL", "memory:", &error) &&
        !orch_config_set(config, "MAX_DEFINITION_BYTES", "1073741824", &error))
        orch = orch_v2_new(config, &error);
    if (!orch)
        bench_fail("orch_v2_new", error);
    orch_config_free(config);
    return orch;
}

void execute(orch_v2 *orch)
{
    orch_response *response = nullptr;
    orch_error *error = nullptr;

    if (orch_v2_execute_workflow(orch, "bench", nullptr, 0, nullptr, &response, &error))
        bench_fail("orch_v2_execute_workflow", error);
    if (orch_response_state(response) != ORCH_EXECUTION_SUCCEEDED)
        bench_fail(orch_response_error(response, nullptr), nullptr);
    orch_response_free(response);
}

// What the execution before held is given back a moment after its end was told.
size_t settled_heap_bytes()
{
    size_t bytes = bench_heap_bytes();

    for (int still = 0; still < 10; still++) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        size_t now = bench_heap_bytes();
        if (now != bytes)
            still = 0;
        bytes = now;
    }
    return bytes;
}

// One more execution, while this thread looks at the heap: the most that it held beyond what was there before.
void measure_memory(orch_v2 *orch, const graph &g)
{
    orch_execution *execution = nullptr;
    orch_response *response = nullptr;
    orch_error *error = nullptr;
    size_t before = settled_heap_bytes(), peak = before;

    if (orch_v2_start_workflow(orch, "bench", nullptr, 0, nullptr, &execution, &error))
        bench_fail("orch_v2_start_workflow", error);
    while (orch_execution_wait(execution, 1, &response, nullptr) == ORCH_E_DEADLINE_EXCEEDED)
        peak = std::max(peak, bench_heap_bytes());
    orch_execution_free(execution);
    orch_response_free(response);
    print(g.name, "run_peak", double(peak - before) / g.nodes, "bytes/step");
    print(g.name, "history_kept", double(settled_heap_bytes() - before) / g.nodes, "bytes/step");
}

double parse_with_jansson(const char *text, size_t len)
{
    int64_t from = bench_now_ns();
    json_t *tree = json_loadb(text, len, 0, nullptr);

    if (!tree)
        bench_fail("json_loadb", nullptr);
    json_decref(tree);
    return double(bench_now_ns() - from);
}

double register_once(orch_v2 *orch, const char *text, size_t len)
{
    orch_error *error = nullptr;
    int64_t from = bench_now_ns();

    if (orch_v2_register_definition(orch, text, len, &error))
        bench_fail("orch_v2_register_definition", error);
    return double(bench_now_ns() - from);
}

// Returns what a step took, in ns. `others`: how many more like it are registered, for medians.
double measure_register(orch_v2 *orch, const graph &g, int others)
{
    bench_samples jansson = {}, ours = {};

    for (int i = 0; i <= others; i++) {
        size_t len = 0;
        char *text = graph_definition(&g, i ? ("other" + std::to_string(i)).c_str() : "bench",
                                      &len);

        bench_add(&jansson, parse_with_jansson(text, len) / g.nodes);
        malloc_trim(0);
        size_t before = bench_heap_bytes();
        bench_add(&ours, register_once(orch, text, len) / g.nodes);
        if (!i) {
            print(g.name, "definition", double(bench_heap_bytes() - before) / g.nodes,
                  "bytes/step");
            print(g.name, "text", double(len) / g.nodes, "bytes/step");
        }
        free(text);
    }
    double ns = bench_percentile(&ours, 50), jansson_ns = bench_percentile(&jansson, 50);
    print(g.name, "register", ns, "ns/step");
    print(std::string(g.name) + "/jansson", "parse", jansson_ns, "ns/step");
    print(g.name, "register_to_jansson", ns / jansson_ns, "ratio");
    bench_clear(&jansson);
    bench_clear(&ours);
    return ns;
}

// Steps with Lua are registered only: what they cost when they run is Lua's.
void measure_lua(const char *name, graph_work work, uint32_t n)
{
    orch_v2 *orch = open_orchestrator();
    graph g = graph_chain(n);

    g.work = work;
    snprintf(g.name, sizeof g.name, "%s/%u", name, n);
    measure_register(orch, g, 8);
    graph_free(&g);
    orch_v2_free(orch);
}

timings measure_orch(const graph &g, int repeat)
{
    orch_v2 *orch = open_orchestrator();
    timings t;

    t.build_ns = measure_register(orch, g, g.nodes > 500000 ? 0 : 2);
    measure(g, repeat, t, [&] { execute(orch); });
    print(g.name, t);
    measure_memory(orch, g);
    orch_v2_free(orch);
    return t;
}

// ---- oneTBB -----------------------------------------------------------------------------------------------

timings measure_tbb(const graph &g, int repeat)
{
    using node = tbb::flow::continue_node<tbb::flow::continue_msg>;
    tbb::global_control one_thread(tbb::global_control::max_allowed_parallelism, 1);
    std::string name = std::string(g.name) + "/tbb";
    size_t ran = 0;
    timings t;

    malloc_trim(0);
    uint64_t before = bench_status("VmRSS");
    int64_t from = bench_now_ns();
    auto flow = std::make_unique<tbb::flow::graph>();
    std::vector<std::unique_ptr<node>> nodes(g.nodes);
    for (auto &n : nodes)
        n = std::make_unique<node>(*flow, [&ran](const tbb::flow::continue_msg &m) {
            ran++;
            return m;
        });
    for (uint32_t i = 0; i < g.nodes; i++)
        for (uint32_t d = g.first[i]; d < g.first[i + 1]; d++)
            tbb::flow::make_edge(*nodes[g.dependencies[d]], *nodes[i]);
    t.build_ns = double(bench_now_ns() - from) / g.nodes;
    measure(g, repeat, t, [&] {
        for (uint32_t i = 0; i < g.nodes && g.first[i] == g.first[i + 1]; i++)
            nodes[i]->try_put(tbb::flow::continue_msg());
        flow->wait_for_all();
    });
    if (ran != size_t(g.nodes) * size_t(repeat + 1))
        bench_fail("the flow graph", nullptr);
    print(name, "build", t.build_ns, "ns/step");
    print(name, t);
    print(name, "resident", double(bench_status("VmRSS") - before) * 1024 / g.nodes, "bytes/step");
    return t;
}

// ---- the limit: counters, a list of dependents, and a stack ---------------------------------------------------

void measure_counters(const graph &g, int repeat)
{
    std::string name = std::string(g.name) + "/counters";
    std::vector<uint32_t> first(g.nodes + 1), dependents(g.first[g.nodes]), waits(g.nodes), ready;
    size_t ran = 0;
    timings t;

    int64_t from = bench_now_ns();
    for (uint32_t i = 0; i < g.first[g.nodes]; i++)
        first[g.dependencies[i]]++;
    for (uint32_t i = 0, at = 0; i <= g.nodes; i++)
        at += first[i], first[i] = at;
    for (uint32_t i = g.nodes; i-- > 0;)
        for (uint32_t d = g.first[i]; d < g.first[i + 1]; d++)
            dependents[--first[g.dependencies[d]]] = i;
    ready.reserve(g.nodes);
    t.build_ns = double(bench_now_ns() - from) / g.nodes;
    measure(g, repeat, t, [&] {
        for (uint32_t i = 0; i < g.nodes; i++)
            if (!(waits[i] = g.first[i + 1] - g.first[i]))
                ready.push_back(i);
        while (!ready.empty()) {
            uint32_t i = ready.back();

            ready.pop_back();
            ran++;
            for (uint32_t d = first[i]; d < first[i + 1]; d++)
                if (--waits[dependents[d]] == 0)
                    ready.push_back(dependents[d]);
        }
    });
    if (ran != size_t(g.nodes) * size_t(repeat + 1))
        bench_fail("the loop over counters", nullptr);
    print(name, "build", t.build_ns, "ns/step");
    print(name, t);
}

timings measure_all(graph g, int repeat)
{
    timings orch = measure_orch(g, repeat);
    timings tbb = measure_tbb(g, repeat);

    measure_counters(g, repeat);
    print(g.name, "first_run_to_tbb_build_and_first_run",
          orch.first_ns / (tbb.build_ns + tbb.first_ns), "ratio");
    print(g.name, "again_to_tbb_again", orch.again_ns / tbb.again_ns, "ratio");
    graph_free(&g);
    return orch;
}

} // namespace

int main()
{
    uint32_t n = uint32_t(bench_knob("N", 100000));
    int repeat = int(bench_knob("REPEAT", 5));
    timings chain = measure_all(graph_chain(n), repeat);

    measure_all(graph_fan(n), repeat);
    measure_all(graph_layered(n / 100 ? n / 100 : 1, 100), repeat);
    measure_lua("when", GRAPH_WHEN, n / 10);
    measure_lua("code", GRAPH_CODE, n / 10);
    measure_lua("lua", GRAPH_LUA, n / 10);
    if (bench_knob("LARGE", 1) >= 1) {
        timings large = measure_all(graph_chain(10 * n), repeat < 3 ? repeat : 3);

        print("chain", "again_10n_to_n", large.again_ns / chain.again_ns, "ratio");
    }
    return 0;
}
