/* maps.h: every map, with who writes it, who reads it, and why it is as large as it is.
 *
 * All are pinned below PIN_DIR (-D, a string ending in the ABI version) and adopted by the next
 * load, so sessions and counters outlive the process. Sizes come from the node's settings (-D).
 * Names have at most 15 characters: the kernel cuts the rest, and operators read them in bpftool.
 */
#ifndef UNILB_MAPS_H
#define UNILB_MAPS_H

#include "abi.h"

/* Both directions of every session. Written by the programs, aged by the node. A plain hash, not
 * LRU: an LRU evicts one half of a pair (Cilium #29305), and under a SYN flood it evicts the
 * living. Two entries per session. */
BPF_TABLE_PINNED("hash", struct flow, struct session, sessions, MAX_FLOWS, PIN_DIR "/sessions");

/* unique IP -> VPC endpoint. Written by the node from the store's VPCs. */
BPF_TABLE_PINNED("hash", struct addr, struct endpoint, endpoints, MAX_ENDPOINTS,
		 PIN_DIR "/endpoints");

/* (VTEP, VNI) pairs that may send to this gateway, with what they sent. Written by the node. */
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

/* enum drop_reason and enum event. Written by the programs per CPU, summed by the node. */
BPF_TABLE_PINNED("percpu_array", u32, u64, drops, DROP_REASONS, PIN_DIR "/drops");
BPF_TABLE_PINNED("percpu_array", u32, u64, events, EVENTS, PIN_DIR "/events");

#endif
