/* abi_splice.h: what of a splice crosses kernel and user space, a part of abi.h.
 *
 * A splice is one entry of the array `splices`, found by the flows of its two ends: `splice_ends`
 * for the client's and for a classic endpoint's, a session of DIRECTION_SPLICED for an endpoint in
 * a VPC. Sequence numbers are host order and, by direction, those of whoever sends that way: index
 * 0 is the client towards the endpoint, 1 the way back. userspace/node/splice_abi.py mirrors this
 * file. */
#ifndef UNILB_ABI_SPLICE_H
#define UNILB_ABI_SPLICE_H

#ifdef __KERNEL__ /* of BCC: there <linux/bpf.h> is the kernel's own, and all that it includes */
#include <uapi/linux/bpf.h>
#else
#include <linux/bpf.h>
#endif

enum splice_state {
	SPLICE_FREE = 0,
	SPLICE_TAIL, /* carried, but the client has not yet acknowledged what the proxy sent last */
	SPLICE_ACTIVE, /* carried; no socket is left */
	SPLICE_BACK, /* on its way back to a socket: the client's packets wait until deadline_ns */
	SPLICE_CLOSED, /* both ends have finished, or one has reset: carried until it is swept */
};

enum splice_kind {
	SPLICE_OPAQUE = 1,  /* bytes are bytes */
	SPLICE_GUARDED = 2, /* every request head is compared with the decision */
};

/* Bits of splice.flags. */
enum splice_flag {
	SPLICE_TIMESTAMPS = 1, /* both ends agreed on RFC 7323 timestamps */
	SPLICE_VPC = 2,	       /* the endpoint is in a VPC: `unique_ip` says where */
	SPLICE_FIN_UP = 4,     /* the client has ended its stream */
	SPLICE_FIN_DOWN = 8,
	SPLICE_TS_UP = 16, /* the clock difference of that way is known */
	SPLICE_TS_DOWN = 32,
	SPLICE_AWAITS = 64, /* a request was forwarded and no byte of its response seen */
	SPLICE_RESET = 128, /* the endpoint has reset it */
};

/* Which attributes of a request its decision depended on: bits of guard.mask, and 1 << n is
 * hashes[n]. The order is userspace/http/footprint.py's. */
enum guard_attribute {
	GUARD_METHOD = 0,
	GUARD_HOST,
	GUARD_PATH,
	GUARD_QUERY,
	GUARD_COOKIE,
	GUARD_USER_AGENT,
	GUARD_AUTHORIZATION,
	GUARD_EXTRA, /* the header whose name hashes to guard.extra_name */
	GUARD_ATTRIBUTES,
};

/* Headers that the guard knows by name: values of `guard_headers`. Up to GUARD_EXTRA they are enum
 * guard_attribute. */
enum guard_header {
	GUARD_HEADER_LENGTH = 16,  /* Content-Length: how much body follows */
	GUARD_HEADER_KEEP = 17,	   /* Connection: covered when it says keep-alive */
	GUARD_HEADER_REFUSED = 18, /* Transfer-Encoding, Upgrade, Expect and whatever else changes
				      what follows: always handed back */
};

/* The decision that later requests must be covered by. A hash is that of guard_hash() in guard.h; 0
 * stands for an attribute that is not there. */
struct guard {
	__u64 hashes[GUARD_ATTRIBUTES];
	__u64 extra_name;
	__u64 decision; /* key of `guard_paths`: other paths that the same decision covers */
	__u32 mask;
	__u32 pad;
};
_Static_assert(sizeof(struct guard) == 88, "abi");

/* Key of `guard_paths`. */
struct guard_path {
	__u64 decision;
	__u64 path; /* its hash */
};
_Static_assert(sizeof(struct guard_path) == 16, "abi");

/* The one entry of `guard_key`: secrets of guard_hash(), and what is in force now. A splice whose
 * epoch is another than this and its account's of `splice_epochs` together is handed back at its
 * next request. */
struct guard_key {
	__u64 seed;
	__u64 factor; /* odd */
	__u64 epoch;
};
_Static_assert(sizeof(struct guard_key) == 24, "abi");

#define GUARD_STATES  32
#define GUARD_SYMBOLS 256

/* The one entry of `guard_states`: the state after [state * GUARD_SYMBOLS + byte]. */
struct guard_table {
	__u8 next[GUARD_STATES * GUARD_SYMBOLS];
	__u8 keep[GUARD_STATES];  /* 1: what was read in this state matters */
	__u8 whose[GUARD_STATES]; /* to which attribute; a name's and a value's say so themselves */
	__u8 small[GUARD_STATES]; /* 0x20: in this state capital letters are small ones */
};
_Static_assert(sizeof(struct guard_table) == 8288, "abi");

/* Value of `splice_ends`. Another generation than the splice's: none. */
struct splice_end {
	__u32 id; /* index of `splices`, never 0 */
	__u32 generation;
	__u32 direction; /* index by direction: 0 from the client, 1 from the endpoint */
};
_Static_assert(sizeof(struct splice_end) == 12, "abi");

#define ANSWER_BYTES 2560 /* of an answer that are kept: its head, as a rule */
#define ANSWER_MORE  1024 /* of a segment behind the first; none where that might be too many */

/* Value of `answers`, by splice. Guarded ones only: the node makes and removes it with them. */
struct answer {
	__u8 said[ANSWER_BYTES]; /* splice.said_len bytes of the last one: see answer_end.py */
};

struct splice {
	struct bpf_spin_lock lock; /* of `head` and what was marked with it */
	__u32 generation;
	__u8 state;	     /* enum splice_state */
	__u8 kind;	     /* enum splice_kind */
	__u8 flags;	     /* enum splice_flag */
	__u8 back;	     /* enum splice_back: why it goes or went back */
	__u8 scale_from[2];  /* window shift of whoever sends this way */
	__u8 scale_to[2];    /* and the one that its receiver was told */
	struct flow from[2]; /* as packets of this way arrive; from[1].vni is the VPC's */
	struct addr unique_ip;
	struct addr client; /* who is there, by TOA where that was told; with client_port */
	__u32 delta[2]; /* added to the numbers of this way; subtracted from acks of the other */
	__u32 clock[2]; /* the same of timestamps, once SPLICE_TS_* is set */
	__u32 clock_base[2]; /* TSval that the receiver of this way was last sent, at created_ns */
	__u32 tail_end;	  /* the client's acknowledgement that completes the tail, as it sends it */
	__u32 end[2];	  /* highest number sent this way + 1 */
	__u32 acked[2];	  /* highest acknowledgement sent this way, as it arrived */
	__u32 last_ts[2]; /* last TSval sent this way, as it arrived */
	__u16 window[2];  /* last window field sent this way, as it arrived */
	__u16 mss[2];	  /* what the sender of this way had announced to us */
	__be16 tunnel_sport;
	__u8 sack;   /* both ends agreed on selective acknowledgements */
	__u8 logged; /* not 0: its requests are told through `splice_requests`, with this */
	__be16 client_port;
	__u16 status;	 /* of the last answer; 0: none yet, or none that could be read */
	__u32 first_us;	 /* from the last request to the first byte of its answer */
	__u32 head;	 /* where the next request must start */
	__u32 mark_seq;	 /* the last request's head: from here, */
	__u32 mark_len;	 /* so many bytes, */
	__u32 answer;	 /* where the response to it must start, in the endpoint's numbers */
	__u64 mark_hash; /* of this hash (a retransmission must be the same) */
	__u32 account;	 /* index of `splice_counts` */
	__u32 requests;
	__u64 epoch;
	__u64 revision; /* of the configuration that it was decided by */
	__u64 created_ns;
	__u64 last_seen_ns;
	__u64 deadline_ns; /* SPLICE_BACK: until when packets wait. SPLICE_CLOSED: since when.
			    * SPLICE_ACTIVE: until when nothing goes back */
	__u64 request_ns;  /* when the request that waits for its response was forwarded */
	__u64 answered_ns; /* when the endpoint sent bytes last */
	__u64 packets[2];
	__u64 bytes[2];	    /* of payload */
	__u64 bytes_before; /* of the way back, when the last request was forwarded */
	__u64 last; /* bytes that the endpoint sent, where `answers` has not all of its answer */
	__u16 said_len;	 /* how much `answers` has of the last one, from number `answer` on */
	__u8 asked_head; /* the last request's method is HEAD */
	__u8 mixed;	 /* what came behind a request was no head, or may have been none */
	__u32 asked_at;	 /* end of the way back when the last request was forwarded */
	struct guard guard;
};

/* An entry of the ring `splice_requests`: a request that was let through, whose head follows, and
 * what became of the one before it on this connection. With no head: the splice has ended. */
struct spliced_request {
	__u32 id;
	__u32 generation;
	__u32 number; /* of the request that is over: the first has 1. The head is the next one's */
	__u32 len;    /* of the head, all of it */
	__u32 account;
	__be16 client_port;
	__be16 server_port;
	struct addr client;
	struct addr server; /* whom the client speaks to */
	__u64 revision;
	__u64 begun_ns;	   /* when it was forwarded; of an opaque one: when the splice was made */
	__u64 answered_ns; /* when the last byte of its answer came, of an opaque one: any */
	__u64 up;	   /* bytes of it, head and body; of an opaque one: of payload */
	__u64 down;	   /* of payload that came back, repeated or not */
	__u32 answer;	   /* bytes that came back, modulo 2^32, without what was repeated */
	__u32 first_us;	   /* as in struct splice, */
	__u16 status;
	__u8 flags;
	__u8 logged;
	__u8 kind;
	__u8 state; /* of a record without a head: SPLICE_CLOSED, or SPLICE_BACK, which may not be
		       the end: the node has it carry on where an answer is not over */
	__u8 pad[2];
};
_Static_assert(sizeof(struct spliced_request) == 112, "abi");

#define LATENCY_BUCKETS 16 /* bucket n counts responses within 64 us << n; the last all others */

/* What the spliced requests of one (route, endpoint) have cost. Per CPU; index 0 is everything that
 * belongs to none. */
struct splice_count {
	__u64 requests;
	__u64 bytes[2];	   /* of payload, by direction */
	__u64 statuses[6]; /* 1xx .. 5xx; 0: none of them */
	__u64 latency[LATENCY_BUCKETS];
	__u64 latency_ns; /* sum */
};

enum splice_event_type {
	SPLICE_EVENT_TAIL = 1, /* the tail is acknowledged: the sockets can go */
	SPLICE_EVENT_BACK = 2, /* hand it back: `bytes` are the first of what the client sent */
	SPLICE_EVENT_END = 3,  /* it has closed */
};

/* Why a splice is handed back, or ended. */
enum splice_back {
	SPLICE_BACK_NONE = 0,
	SPLICE_BACK_EPOCH,     /* the configuration has changed */
	SPLICE_BACK_FOOTPRINT, /* an attribute that the decision depended on is another */
	SPLICE_BACK_HEAD,      /* not a head the kernel understands completely */
	SPLICE_BACK_SPLIT,     /* not complete in one packet */
	SPLICE_BACK_PIPELINED, /* more than one request in one packet */
	SPLICE_BACKS,
};

#define SPLICE_EVENT_BYTES 2048
#define SPLICE_BACK_NS	   1000000000ULL /* how long a connection on its way back is held */

/* An entry of the ring `splice_events`. */
struct splice_event {
	__u32 type; /* enum splice_event_type */
	__u32 id;
	__u32 generation;
	__u32 why;	/* enum splice_back */
	__u32 seq;	/* of the first byte, the client's number */
	__u32 len;	/* of the packet's payload */
	__u32 captured; /* of which so many follow; the client repeats the rest */
	__u32 pad;
	__u8 bytes[SPLICE_EVENT_BYTES];
	__u64 at_ns; /* when */
};
_Static_assert(sizeof(struct splice_event) == 32 + SPLICE_EVENT_BYTES + 8, "abi");

#endif
