/* maps.h: every map, with who writes it, who reads it, and why it is as large as it is.
 *
 * All are pinned below PIN_DIR (-D, a string ending in the ABI version) and adopted by the next
 * load, so sessions and counters outlive the process. Sizes come from the node's settings (-D).
 * Names have at most 15 characters: the kernel cuts the rest, and operators read them in bpftool.
 */
#ifndef UNILB_MAPS_H
#define UNILB_MAPS_H

#include "parse.h"

#define DROP_RING_BYTES 262144

/* Both directions of every session. Written by the programs, aged by the node. A plain hash, not
 * LRU: an LRU evicts one half of a pair (Cilium #29305), and under a SYN flood it evicts the
 * living. Two entries per session. */
BPF_TABLE_PINNED("hash", struct flow, struct session, sessions, MAX_FLOWS, PIN_DIR "/sessions");

/* unique IP -> VPC endpoint. Written by the node from the store's VPCs. */
BPF_TABLE_PINNED("hash", struct addr, struct endpoint, endpoints, MAX_ENDPOINTS,
		 PIN_DIR "/endpoints");

/* The same endpoints by (VPC address, VNI), for L4 nodes that send straight to backends; its
 * value's addr is the unique IP. Written by the node. */
BPF_TABLE_PINNED("hash", struct host_key, struct endpoint, hosts, MAX_ENDPOINTS, PIN_DIR "/hosts");

/* (VTEP, VNI) pairs that may send to this gateway, with what they sent; with DSR_VNI the L4 nodes
 * that send for DSR VIPs. Written by the node. */
BPF_TABLE_PINNED("hash", struct vtep_key, struct traffic, vteps, MAX_ENDPOINTS, PIN_DIR "/vteps");

/* VIP:port -> service, the rings that services point to, and the targets that rings name. Written
 * by the node, in reverse order: targets, ring, service. */
BPF_TABLE_PINNED("hash", struct service_key, struct service, services, MAX_SERVICES,
		 PIN_DIR "/services");
BPF_TABLE_PINNED("array", u32, u32, rings, 2 * MAX_SERVICES * RING_SIZE, PIN_DIR "/rings");
BPF_TABLE_PINNED("array", u32, struct target, targets, MAX_TARGETS, PIN_DIR "/targets");

/* Addresses whose packets are the datapath's: VIPs and local addresses (enum owned). Written by the
 * node. */
BPF_TABLE_PINNED("hash", struct addr, u32, owned, MAX_OWNED, PIN_DIR "/owned");

/* Local addresses to open sessions from, 0 .. machine.laddr_count - 1. Written by the node. */
BPF_TABLE_PINNED("array", u32, struct addr, laddrs, MAX_LADDRS, PIN_DIR "/laddrs");

/* L4 nodes' local addresses: whose TOA options are believed. Written by the node. */
BPF_TABLE_PINNED("hash", struct addr, u32, toa_trusted, MAX_OWNED, PIN_DIR "/toa_trusted");

BPF_TABLE_PINNED("array", u32, struct machine, machine, 1, PIN_DIR "/machine");

/* What VIPs and VPCs have carried. Written by the programs per CPU, read by the node, which gives
 * out the indices. */
BPF_TABLE_PINNED("percpu_array", u32, struct account, accounts, MAX_ACCOUNTS, PIN_DIR "/accounts");

/* VTEP -> what the way there carries. An LRU: to forget one costs a lost packet, not a session.
 * Written by the programs from the underlay's ICMP. */
BPF_TABLE_PINNED("lru_hash", struct addr, struct path_mtu, path_mtus, 1024, PIN_DIR "/path_mtus");
BPF_TABLE_PINNED("percpu_array", u32, struct budget, icmp_budget, 1, PIN_DIR "/icmp_budget");

/* Drops as they happen, for `unilb drops`: 2048 events, then none until it reads. */
BPF_TABLE_PINNED("array", u32, struct watch, drop_watch, 1, PIN_DIR "/drop_watch");
struct drop_events_table_t {
	int key;
	u32 leaf;
	int (*ringbuf_output)(void *, u64, u64);
	void *(*ringbuf_reserve)(u64);
	void (*ringbuf_discard)(void *, u64);
	void (*ringbuf_submit)(void *, u64);
	u32 max_entries;
};
__attribute__((
    section("maps/ringbuf:" PIN_DIR "/drop_events"))) struct drop_events_table_t drop_events = {
    .max_entries = DROP_RING_BYTES};

/* enum drop_reason and enum event. Written by the programs per CPU, summed by the node. */
BPF_TABLE_PINNED("percpu_array", u32, u64, drops, DROP_REASONS, PIN_DIR "/drops");
BPF_TABLE_PINNED("percpu_array", u32, u64, events, EVENTS, PIN_DIR "/events");

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
