/* maps.h: every map, with who writes it, who reads it, and why it is as large as it is.
 *
 * Those that userspace/node/maps.py names are pinned and adopted by the next load, so sessions and
 * counters outlive the process; the others are a build's own. Names have at most 15 characters: the
 * kernel cuts the rest, and operators read them in bpftool.
 */
#ifndef UNILB_MAPS_H
#define UNILB_MAPS_H

#include "parse.h"

#define DROP_RING_BYTES 262144
#define SIZED		1 /* as many as the node's settings say, when it is made: datapath.py */

/* Both directions of every session. Written by the programs, aged by the node. A plain hash, not
 * LRU: an LRU evicts one half of a pair (Cilium #29305), and under a SYN flood it evicts the
 * living. Two entries per session. */
BPF_TABLE("hash", struct flow, struct session, sessions, SIZED);

/* unique IP -> VPC endpoint. Written by the node from the store's VPCs. */
BPF_TABLE("hash", struct addr, struct endpoint, endpoints, SIZED);

/* The same endpoints by (VPC address, VNI), for L4 nodes that send straight to backends; its
 * value's addr is the unique IP. Written by the node. */
BPF_TABLE("hash", struct host_key, struct endpoint, hosts, SIZED);

/* (VTEP, VNI) pairs that may send to this gateway, with what they sent; with DSR_VNI the L4 nodes
 * that send for DSR VIPs. Written by the node. */
BPF_TABLE("hash", struct vtep_key, struct traffic, vteps, SIZED);

/* VIP:port -> service, the rings that services point to, and the targets that rings name. Written
 * by the node, in reverse order: targets, ring, service. */
BPF_TABLE("hash", struct service_key, struct service, services, SIZED);
BPF_TABLE("array", u32, u32, rings, SIZED);
BPF_TABLE("array", u32, struct target, targets, SIZED);

/* Addresses whose packets are the datapath's: VIPs and local addresses (enum owned). Written by the
 * node. */
BPF_TABLE("hash", struct addr, u32, owned, SIZED);

/* Local addresses to open sessions from, 0 .. machine.laddr_count - 1. Written by the node. */
BPF_TABLE("array", u32, struct addr, laddrs, SIZED);

/* L4 nodes' local addresses: whose TOA options are believed. Written by the node. */
BPF_TABLE("hash", struct addr, u32, toa_trusted, SIZED);

BPF_TABLE("array", u32, struct machine, machine, 1);

/* What VIPs and VPCs have carried. Written by the programs per CPU, read by the node, which gives
 * out the indices. */
BPF_TABLE("percpu_array", u32, struct account, accounts, SIZED);

/* VTEP -> what the way there carries. An LRU: to forget one costs a lost packet, not a session.
 * Written by the programs from the underlay's ICMP. */
BPF_TABLE("lru_hash", struct addr, struct path_mtu, path_mtus, 1024);
BPF_TABLE("percpu_array", u32, struct budget, icmp_budget, 1);

/* Drops as they happen, for `unilb drops`: 2048 events, then none until it reads. */
BPF_TABLE("array", u32, struct watch, drop_watch, 1);
struct drop_events_table_t {
	int key;
	u32 leaf;
	int (*ringbuf_output)(void *, u64, u64);
	void *(*ringbuf_reserve)(u64);
	void (*ringbuf_discard)(void *, u64);
	void (*ringbuf_submit)(void *, u64);
	u32 max_entries;
};
__attribute__((section("maps/ringbuf"))) struct drop_events_table_t drop_events = {
    .max_entries = DROP_RING_BYTES};

/* enum drop_reason and enum event. Written by the programs per CPU, summed by the node. */
BPF_TABLE("percpu_array", u32, u64, drops, DROP_REASONS);
BPF_TABLE("percpu_array", u32, u64, events, EVENTS);

/* What would not fit on a program's 512 bytes of stack. Per CPU, and a program is not interrupted
 * by another of its hook: nothing in it but the clock outlives one packet. */
#define SCRATCH_BYTES 128
struct scratch {
	struct packet outer;	   /* as it arrived */
	struct packet inner;	   /* what its tunnel carries; l3 is 0 when there is none */
	struct session session;	   /* about to be inserted */
	struct flow peer;	   /* of the packet's session */
	struct bpf_fib_lookup fib; /* a question to the kernel */
	u8 bytes[SCRATCH_BYTES];   /* an ICMP error about to be written, or a part of a payload */
	u64 tick;		   /* the last that this CPU asked the clock at, */
	u64 tick_ns;		   /* and what that said */
	u64 sum;		   /* of a payload, as far as `at` */
	u32 at;
};
BPF_PERCPU_ARRAY(scratch, struct scratch, 1);

#endif
