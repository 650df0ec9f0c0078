/* abi.h: every struct, enum and constant that crosses kernel and user space.
 *
 * userspace/node/abi.py mirrors this file; tests/bpf/test_abi.py compares both through BTF. A
 * change of layout or meaning raises ABI_VERSION, which is part of the pin path: an old map is
 * never read with a new layout. Addresses are 16 bytes, IPv4 as ::ffff:a.b.c.d. __be16 is network
 * order, everything else host order. No struct has implicit padding: keys are hashed as bytes, so
 * each byte must be written. */
#ifndef UNILB_ABI_H
#define UNILB_ABI_H

#include <linux/types.h>
#include "reasons.h"

#define ABI_VERSION 5

/* One prime for every Maglev ring. 65537 is Katran's; 16381 keeps 64 services in 8 MiB and is still
 * >= 100 slots per target up to 160 targets. */
#define RING_SIZE 16381

struct addr {
	__u8 bytes[16];
};

/* A packet's flow as it arrives. vni is 0 outside every VPC. Key of `sessions`. */
struct flow {
	struct addr saddr;
	struct addr daddr;
	__be16 sport;
	__be16 dport;
	__u32 vni;
	__u8 proto;
	__u8 pad[3];
};
_Static_assert(sizeof(struct flow) == 44, "abi");

enum direction {
	DIRECTION_FORWARD = 1, /* from who opened the session */
	DIRECTION_REPLY = 2,
	DIRECTION_SPLICED = 3, /* the reply of a session that a splice took over: `target` is its
				  index of `splices`, `target_generation` its generation, and there
				  is no forward entry any more */
	DIRECTION_ONLY = 4,    /* of a DSR VIP: what its targets answer does not pass here */
};

/* Bits of session.tcp_seen: what this direction has shown so far. */
enum tcp_seen {
	SEEN_SYN = 1,
	SEEN_DATA = 2, /* any segment without SYN */
	SEEN_FIN = 4,
	SEEN_RST = 8,
	SEEN_PEER = 16, /* the other direction has sent a segment without SYN: its socket exists */
	SEEN_PEER_FIN = 32, /* what the other direction has shown, so that ageing asks one entry */
	SEEN_PEER_RST = 64,
};

/* One direction of an FNAT session. `peer` is the flow of the other direction as that arrives;
 * together with the key it says everything about the rewrite: this direction leaves from
 * (peer.daddr, peer.dport) to (peer.saddr, peer.sport) in VPC peer.vni. Both directions are created
 * together by the datapath and removed together by the node (userspace/node/ageing.py). One of
 * DIRECTION_ONLY has no other half: its peer names its target as (saddr, sport), and nothing else.
 * Counters count packets as they arrive; *_ns is bpf_ktime_get_coarse_ns(). */
struct session {
	struct flow peer;
	__u8 direction;		 /* enum direction */
	__u8 tcp_seen;		 /* enum tcp_seen */
	__be16 tunnel_sport;	 /* outer UDP source port, constant per session */
	__u32 target;		 /* L4 tier: index of `targets`; 0 for none */
	__u32 target_generation; /* of that entry when the session began */
	__u32 account;		 /* index of `accounts`; 0 for none */
	__u32 ack;		 /* the last acknowledgement number seen this way, host order */
	__u64 created_ns;
	__u64 last_seen_ns;
	__u64 packets;
	__u64 bytes;
};
_Static_assert(sizeof(struct session) == 96, "abi");

/* What a unique IP stands for. Key of `endpoints`: the unique IP (struct addr). */
struct endpoint {
	struct addr addr; /* in its VPC */
	struct addr vtep;
	__u32 vni;
	__u8 mac[6];   /* of the VM: ARP is never spoken */
	__u16 mtu;     /* of the inner packet, bytes */
	__u32 account; /* of its VPC: index of `accounts` */
};
_Static_assert(sizeof(struct endpoint) == 48, "abi");

/* A machine of a VPC by its address there. Key of `hosts`, for L4 nodes, whose sessions know no
 * unique IP. */
struct host_key {
	struct addr addr;
	__u32 vni;
};
_Static_assert(sizeof(struct host_key) == 20, "abi");

/* In the place of a VNI, which has 24 bits: an L4 node's tunnel of DSR VIPs' packets. */
#define DSR_VNI (1U << 24)

/* Who may send into a VNI. The entry with a zero vtep says that the VNI exists at all. Key of
 * `vteps`. */
struct vtep_key {
	struct addr vtep;
	__u32 vni;
};
_Static_assert(sizeof(struct vtep_key) == 20, "abi");

struct traffic {
	__u64 packets;
	__u64 bytes;
};
_Static_assert(sizeof(struct traffic) == 16, "abi");

struct service_key {
	struct addr addr;
	__be16 port;
	__u8 proto;
	__u8 pad;
};
_Static_assert(sizeof(struct service_key) == 20, "abi");

/* How a VIP's packets reach its targets. */
enum forwarding {
	FORWARDING_FNAT = 0, /* translated to a local address, and back */
	FORWARDING_DSR = 1,  /* unchanged, in a tunnel; the target answers the client itself */
};

/* `ring` is a slot of `rings`: slot r covers the entries r * RING_SIZE .. (r + 1) * RING_SIZE - 1.
 * A new ring is written to a free slot first and becomes the service's by this one update. */
struct service {
	__u32 ring;
	__u32 account; /* index of `accounts` */
	__u32 mode;    /* enum forwarding */
};
_Static_assert(sizeof(struct service) == 12, "abi");

enum target_state {
	TARGET_UP = 0,
	TARGET_DOWN = 1, /* its sessions end: see userspace/node/ageing.py */
};

/* session.target of an L4 node's own connections, by which it checks its targets. */
#define PROBE_TARGET 0xffffffff

/* Where a ring may send a session: a gateway, or a backend, in a VPC when vni is not 0. Index 0 is
 * never a target, so an unwritten ring entry is found out. An index that is used anew has another
 * generation: sessions of the one before are none of its. Probes name a target by its index: the
 * last 16 bits of the address that they are sent to. */
struct target {
	struct addr addr;
	struct addr vip; /* DSR: what its packets are for, and addr the far end of their tunnel */
	__be16 port;
	__u8 state; /* enum target_state */
	__u8 pad;
	__u32 vni;
	__u32 generation;
};
_Static_assert(sizeof(struct target) == 44, "abi");

/* What one VIP's port (L4 nodes) or one VPC (gateways) has carried. Per CPU; index 0 is everything
 * that belongs to none. */
struct account {
	__u64 packets[2]; /* by direction: forward, reply */
	__u64 bytes[2];
	__u64 sessions; /* opened */
};
_Static_assert(sizeof(struct account) == 40, "abi");

/* Value of `owned`: why packets to this address are the datapath's business. */
enum owned {
	OWNED_VIP = 1,
	OWNED_LADDR = 2,
	OWNED_TUNNEL = 3, /* VXLAN to this machine: never in the map */
	OWNED_DSR = 4,	  /* a VIP that comes to this gateway through L4 nodes' tunnels */
};

/* The machine itself: the one entry of `machine`. */
struct machine {
	struct addr underlay;  /* source of VXLAN packets, and the address they are accepted on */
	struct addr underlay6; /* the same towards VTEPs of IPv6; zero for none */
	__u32 underlay_ifindex;
	__u32 vpc_ifindex;	/* the device that the unique IPs are routed to */
	__u8 vpc_mac[6];	/* of that device */
	__u8 inner_mac[6];	/* what VMs know as the gateway's MAC */
	__u32 vpc_peer_ifindex; /* the other end of that device: how XDP delivers to it */
	__u32
	    segments_ifindex; /* the kernel's vxlan device, for what is cut up later; 0 for none */
	__u32 laddr_count;    /* entries 0 .. laddr_count - 1 of `laddrs` are IPv4 */
	__u32 laddr6_count;   /* and as many after them IPv6 */
	__u16 port_min;	      /* FNAT local ports, inclusive */
	__u16 port_max;
	__u16 mtu;	   /* of the underlay device */
	__u8 toa_kind;	   /* 254 unless configured */
	__u8 xdp_redirect; /* XDP sends by redirect where it came in, too: veth loses what XDP_TX
			      sends unless its peer has an XDP program */
};
_Static_assert(sizeof(struct machine) == 76, "abi");

/* What the way to a VTEP carries, as its routers have said. Key of `path_mtus`: the VTEP. */
struct path_mtu {
	__u64 learnt_ns;
	__u32 mtu; /* of the outer packet, bytes */
	__u32 pad;
};
_Static_assert(sizeof(struct path_mtu) == 16, "abi");

/* A second's share of ICMP errors that one CPU may send: the one entry of `icmp_budget`. */
struct budget {
	__u64 second;
	__u64 spent;
};
_Static_assert(sizeof(struct budget) == 16, "abi");

/* Who watches drops: the one entry of `drop_watch`. `unilb drops` renews until_ns while it runs. */
struct watch {
	__u64 until_ns;
	__u32 every; /* one event for so many drops, per CPU */
	__u32 pad;
};
_Static_assert(sizeof(struct watch) == 16, "abi");

#define EVENT_BYTES 64

/* A dropped packet, as `drop_events` tells it. */
struct drop_event {
	__u64 at_ns;
	struct flow flow; /* what could be parsed of it */
	__u32 reason;	  /* enum drop_reason */
	__u32 len;	  /* of the frame */
	__u32 captured;	  /* of which so many bytes follow */
	__u8 bytes[EVENT_BYTES];
};
_Static_assert(sizeof(struct drop_event) == 128, "abi");

/* The client of a connection that the L4 tier opened, as its TOA option says. Socket storage. */
struct client {
	struct addr addr;
	__be16 port;
	__u16 pad;
};
_Static_assert(sizeof(struct client) == 20, "abi");

#include "abi_splice.h"

#endif
