/* reasons.h: the names of what is counted, a part of abi.h. */
#ifndef UNILB_REASONS_H
#define UNILB_REASONS_H

/* Why a packet was dropped: index of `drops`, and the metric label in lower case without the
 * prefix. */
enum drop_reason {
	DROP_NONE = 0,
	DROP_MALFORMED,	      /* truncated, or lengths that contradict each other */
	DROP_FRAGMENT,	      /* a fragment: its ports are unknown */
	DROP_IP_OPTIONS,      /* an IPv4 header longer than 20 bytes, or IPv6 extension headers */
	DROP_PROTOCOL,	      /* neither TCP, UDP, ICMP echo nor an ICMP error */
	DROP_TTL_EXPIRED,     /* would leave with TTL 0 */
	DROP_NO_SERVICE,      /* a VIP, but nothing is published on this port */
	DROP_NO_TARGET,	      /* the service's ring is empty */
	DROP_NO_SESSION,      /* no session, and not the first packet of one */
	DROP_NO_LADDR,	      /* no local address is configured */
	DROP_PORTS_EXHAUSTED, /* no local port could be claimed within the probes */
	DROP_TABLE_FULL,      /* `sessions` is full: old sessions live, new ones are refused */
	DROP_NO_ENDPOINT,     /* no VPC endpoint has this unique IP */
	DROP_STALE_ENDPOINT,  /* the unique IP now belongs to another endpoint than when the session
				 began */
	DROP_TOO_BIG,	      /* longer than the endpoint's MTU */
	DROP_NO_ROUTE,	      /* the kernel has no route for the outer packet */
	DROP_ENCAP,	      /* no room for the outer headers */
	DROP_VXLAN_HEADER,    /* flags other than "VNI valid", or reserved bits set */
	DROP_VNI_UNKNOWN,     /* no VPC has this VNI */
	DROP_VTEP_UNKNOWN,    /* this VTEP hosts no endpoint of that VNI */
	DROP_INNER_MAC,	      /* the inner frame is not addressed to this gateway */
	DROP_INNER_PROTOCOL,  /* the inner frame carries neither IPv4 nor IPv6 */
	DROP_ECN,	   /* congestion experienced outside, not ECN-capable inside (RFC 6040) */
	DROP_ICMP_QUOTE,   /* an ICMP error that quotes no packet of the session's, or too little */
	DROP_TARGET_DOWN,  /* the session's target is down; its end is on its way */
	DROP_NO_NEIGHBOUR, /* XDP: the next hop's MAC is not known, and the driver carries no notes
			    */
	DROP_SPLICE_ORDER, /* guarded: not where the next request must start; its sender repeats it
			    */
	DROP_SPLICE_EARLY, /* guarded: a request while another is unanswered; the same */
	DROP_SPLICE_REPEAT,   /* guarded: a retransmission that is not what was sent before */
	DROP_SPLICE_HELD,     /* the splice is on its way back to a socket */
	DROP_SPLICE_CHECKSUM, /* guarded: a request head with a bad TCP checksum */
	DROP_INTERNAL,	      /* a helper failed that does not fail; see the node's log */
	DROP_REASONS,
};

/* What is worth counting besides drops: index of `events`. */
enum event {
	EVENT_SESSION_NEW = 0,
	EVENT_SESSION_REOPENED, /* SYN over a session that was closing */
	EVENT_PORT_PROBE,	/* a local port was taken, another was tried */
	EVENT_TOA_WRITTEN,
	EVENT_TOA_NO_ROOM, /* header or MTU full, or a GSO packet: the segment went without the
			      option */
	EVENT_TOA_READ,
	EVENT_TOA_UNTRUSTED, /* an option from an address that is no L4 node */
	EVENT_ENCAP,
	EVENT_DECAP,
	EVENT_NEIGH_SLOW, /* no neighbour entry yet: the kernel resolved it */
	EVENT_ICMP_TRANSLATED,
	EVENT_ICMP_TOO_BIG, /* sent to who sent more than the way takes */
	EVENT_ICMP_LIMITED, /* not sent: the second's budget was spent */
	EVENT_PATH_MTU,	    /* learnt from the underlay */
	EVENT_ECHO,	    /* a VIP answered a ping */
	EVENT_DSR_SENT,	    /* a client's packet went to its target in a tunnel */
	EVENT_DSR_TAKEN,    /* and came out of it at a gateway */
	EVENT_RING_ONLY, /* of those sent: by the ring, as no session was found or could be kept */
	EVENT_SPLICE_UNTOLD, /* the ring to the node was full: a hand-back waits for a repetition */
	EVENT_SPLICE_UNLOGGED, /* the ring to the access log was full: a request without its line */
	EVENTS,
};

#endif
