/* tc_gateway.c: a gateway's way into the VPCs and back.
 *
 * vpc_egress sits on the device that the unique IPs are routed to. What a local socket sends there
 * leaves, from a local address of this gateway and to the VPC's own address, inside the endpoint's
 * VNI. vxlan_ingress sits on the underlay device: what comes back is taken out of its VNI, given
 * the unique IP again, and handed to the socket. */
#include "vpc.h"

/* Returns the session that this packet continues or opens, or NULL with *reason saying why there is
 * none. */
static __always_inline struct session *vpc_session(struct packet *pkt,
						   const struct endpoint *endpoint,
						   const struct machine *machine, int *reason)
{
	struct session *session = sessions.lookup(&pkt->flow);
	struct session *fresh;
	struct flow reply = {};

	if (session && pkt->flow.proto == IPPROTO_TCP && pkt->opens && session_closing(session)) {
		session_remove(&pkt->flow, session);
		count(EVENT_SESSION_REOPENED);
		session = 0;
	}
	*reason = DROP_STALE_ENDPOINT;
	if (session)
		return session->peer.vni == endpoint->vni &&
			       addr_equal(&session->peer.saddr, &endpoint->addr)
			   ? session
			   : 0;
	*reason = DROP_NO_SESSION;
	fresh = pkt->opens ? session_blank() : 0;
	if (!fresh)
		return 0;
	reply.saddr = endpoint->addr;
	reply.sport = pkt->flow.dport;
	reply.vni = endpoint->vni;
	reply.proto = pkt->flow.proto;
	fresh->account = endpoint->account;
	*reason = session_open(pkt, &reply, machine, fresh);
	if (*reason != DROP_NONE)
		return 0;
	*reason = DROP_NO_SESSION;
	return sessions.lookup(&pkt->flow);
}

/* Rewrites a local socket's ICMP error about what a VPC sent it. Returns enum drop_reason. */
static __always_inline int error_to_vpc(struct __sk_buff *skb, struct packet *pkt,
					const struct endpoint *endpoint)
{
	struct quote quote = {};
	struct flow peer = {};
	int reason;

	reason = icmp_session(skb, pkt, &quote, &peer);
	if (reason)
		return reason;
	if (peer.vni != endpoint->vni || !addr_equal(&peer.saddr, &endpoint->addr))
		return DROP_STALE_ENDPOINT;
	if (icmp_translate(skb, pkt, &quote, &peer, 0))
		return DROP_INTERNAL;
	count(EVENT_ICMP_TRANSLATED);
	return DROP_NONE;
}

/* Rewrites a packet of a session. Returns enum drop_reason. */
static __always_inline int packet_to_vpc(struct __sk_buff *skb, struct packet *pkt,
					 const struct endpoint *endpoint,
					 const struct machine *machine, __be16 *tunnel_sport)
{
	int reason = DROP_INTERNAL;
	struct session *session;
	struct flow peer;

	session = vpc_session(pkt, endpoint, machine, &reason);
	if (!session)
		return reason;
	session_touch(session, pkt);
	peer = session->peer;
	*tunnel_sport = session->tunnel_sport;
	return rewrite(skb, pkt, &peer, 0) ? DROP_INTERNAL : DROP_NONE;
}

static __always_inline int to_vpc(struct __sk_buff *skb, struct packet *pkt)
{
	__be16 tunnel_sport = bpf_htons(TUNNEL_SPORT_MIN);
	struct endpoint *endpoint;
	struct machine *self;
	int parsed, reason;
	u32 zero = 0, mtu;

	pull(skb, PARSE_LEN);
	parsed = parse_frame(skb, 0, pkt);
	if (parsed == PARSED_NOT_IP || (pkt->v6 && pkt->flow.daddr.bytes[0] == 0xff))
		return TC_ACT_OK; /* multicast of the device itself */
	if (parsed != PARSED_OK && parsed != PARSED_ICMP_ERROR)
		return -unparsed_reason(parsed);
	self = machine.lookup(&zero);
	endpoint = endpoints.lookup(&pkt->flow.daddr);
	if (!self || !endpoint)
		return -DROP_NO_ENDPOINT;
	mtu = vxlan_exceeds(endpoint, wire_len(skb, pkt), pkt->v6);
	if (mtu) {
		if (!icmp_allowed() || icmp_too_big(skb, pkt, mtu))
			return -DROP_TOO_BIG;
		return deliver(skb, self);
	}
	reason = parsed == PARSED_ICMP_ERROR
		     ? error_to_vpc(skb, pkt, endpoint)
		     : packet_to_vpc(skb, pkt, endpoint, self, &tunnel_sport);
	if (reason != DROP_NONE)
		return -reason;
	if (vxlan_push(skb, pkt, endpoint, self, tunnel_sport))
		return -DROP_ENCAP;
	count(EVENT_ENCAP);
	return forward_tunnel(skb, self, &endpoint->vtep, pkt->ip_len + outer_len(&endpoint->vtep));
}

int vpc_egress(struct __sk_buff *skb)
{
	struct scratch *room = begin();

	return room ? finish(skb, room, to_vpc(skb, &room->outer)) : TC_ACT_SHOT;
}

int vxlan_ingress(struct __sk_buff *skb)
{
	struct scratch *room = begin();

	return room ? finish(skb, room, from_vpc(skb, &room->outer, &room->inner)) : TC_ACT_SHOT;
}
