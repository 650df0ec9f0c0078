/* splice_maps.h: the maps of splices, as maps.h has the others. Gateways only. */
#ifndef UNILB_SPLICE_MAPS_H
#define UNILB_SPLICE_MAPS_H

#include "maps.h"

#define SPLICE_RING_BYTES  (1 << 20) /* some 500 connections on their way back at once */
#define REQUEST_RING_BYTES (1 << 23) /* some 40,000 requests: read every 100 ms */

/* The flows of both ends, as their packets arrive -> which splice. Written and removed by the node,
 * both together: it begins a splice with the endpoint's, so that no answer finds only half of it.
 */
BPF_TABLE("hash", struct flow, struct splice_end, splice_ends, SIZED);

/* The splices; index 0 is none. Filled by the node before their ends are, then the programs'. */
BPF_TABLE("array", u32, struct splice, splices, SIZED);

/* How the last answer of a guarded splice begins, by the splice. Memory only for those that there
 * are: written and removed by the node, the bytes are the programs'. */
BPF_F_TABLE("hash", u32, struct answer, answers, SIZED, BPF_F_NO_PREALLOC);

/* What a route's and endpoint's spliced requests have cost. Indices are given out by the node. */
BPF_TABLE("percpu_array", u32, struct splice_count, splice_counts, SIZED);

/* Written by the node. An array of one. */
BPF_TABLE("array", u32, struct guard_key, guard_key, 1);

/* By account: what is added to guard_key.epoch for its splices, so that a change of one upstream
 * brings none back but its own. Grows only. Written by the node. */
BPF_TABLE("array", u32, u64, splice_epochs, SIZED);

/* (decision, hash of a path) that workers have found the same decision to cover. An LRU: to forget
 * one costs a trip to user space. Written by the node; the value says nothing. */
BPF_TABLE("lru_hash", struct guard_path, u32, guard_paths, SIZED);

/* Hash of a header's name in lower case -> enum guard_header: those that the guard has to know.
 * Written by the node with guard_key. */
BPF_TABLE("hash", u64, u32, guard_headers, 32);

/* The grammar of a request head. Written by the node from userspace/node/head_table.py. */
BPF_TABLE("array", u32, struct guard_table, guard_states, 1);

#define SPLICE_RING(name, bytes)                                                                   \
	struct name##_table_t {                                                                    \
		int key;                                                                           \
		u32 leaf;                                                                          \
		int (*ringbuf_output)(void *, u64, u64);                                           \
		void *(*ringbuf_reserve)(u64);                                                     \
		void (*ringbuf_discard)(void *, u64);                                              \
		void (*ringbuf_submit)(void *, u64);                                               \
		u32 max_entries;                                                                   \
	};                                                                                         \
	__attribute__((section("maps/ringbuf"))) struct name##_table_t name = {.max_entries = bytes}

/* struct splice_event, to the node. */
SPLICE_RING(splice_events, SPLICE_RING_BYTES);

/* struct spliced_request, to who writes the access log: userspace/spliced. Nobody is woken. */
SPLICE_RING(splice_requests, REQUEST_RING_BYTES);

#endif
