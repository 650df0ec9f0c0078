/* tc_gateway.c: a gateway's way into the VPCs and back.
 *
 * vpc_egress sits on the device that the unique IPs are routed to. What a local socket sends there
 * leaves, from a local address of this gateway and to the VPC's own address, inside the endpoint's
 * VNI. vxlan_ingress sits on the underlay device: what comes back is taken out of its VNI, given
 * the unique IP again, and handed to the socket. */
#include "forward.h"
#include "session.h"
#include "vxlan.h"

/* Returns the session that this packet continues or opens, or NULL with *reason saying why there is
 * none. */
static __always_inline struct session *vpc_session(struct packet *pkt,
						   const struct endpoint *endpoint,
						   const struct machine *machine, int *reason)
{
	struct session *session = sessions.lookup(&pkt->flow);
	int opens = pkt->syn && !pkt->ack;
	struct flow reply = {};

	if (session && opens && session_closing(session)) {
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
	if (!opens)
		return 0;
	reply.saddr = endpoint->addr;
	reply.sport = pkt->flow.dport;
	reply.vni = endpoint->vni;
	reply.proto = pkt->flow.proto;
	*reason = session_open(pkt, &reply, machine);
	if (*reason != DROP_NONE)
		return 0;
	*reason = DROP_NO_SESSION;
	return sessions.lookup(&pkt->flow);
}

int vpc_egress(struct __sk_buff *skb)
{
	int reason = DROP_INTERNAL;
	struct packet pkt = {};
	struct endpoint *endpoint;
	struct session *session;
	struct machine *self;
	struct flow peer;
	__be16 tunnel_sport;
	u32 zero = 0;
	int parsed;

	pull(skb, ETH_LEN + IPV4_LEN + TCP_MIN_LEN);
	parsed =
	    parse_frame((void *)(long)skb->data, (void *)(long)skb->data_end, 0, skb->len, &pkt);
	if (parsed == PARSED_NOT_IPV4)
		return TC_ACT_OK; /* neighbour discovery of the device itself */
	if (parsed != PARSED_OK)
		return drop(unparsed_reason(parsed));
	if (pkt.flow.proto != IPPROTO_TCP)
		return drop(DROP_PROTOCOL);
	self = machine.lookup(&zero);
	endpoint = endpoints.lookup(&pkt.flow.daddr);
	if (!self || !endpoint)
		return drop(DROP_NO_ENDPOINT);
	if (!skb->gso_size && pkt.ip_len > endpoint->mtu)
		return drop(DROP_TOO_BIG);
	session = vpc_session(&pkt, endpoint, self, &reason);
	if (!session)
		return drop(reason);
	session_touch(session, &pkt);
	peer = session->peer;
	tunnel_sport = session->tunnel_sport;
	if (rewrite(skb, &pkt, &peer, 0))
		return drop(DROP_INTERNAL);
	if (vxlan_push(skb, endpoint, self, tunnel_sport, pkt.tos))
		return drop(DROP_ENCAP);
	count(EVENT_ENCAP);
	return forward_out(self->underlay_ifindex);
}

/* True for UDP to our own VTEP: everything else that arrives on the underlay is none of our
 * business. */
static __always_inline int is_tunnel(const struct packet *pkt, const struct machine *machine)
{
	return pkt->flow.proto == IPPROTO_UDP && addr_equal(&pkt->flow.daddr, &machine->underlay);
}

/* Returns enum drop_reason; counts what an allowed VTEP sends. */
static __always_inline int vtep_check(const struct packet *outer, u32 vni)
{
	struct vtep_key key = {.vni = vni};
	struct traffic *traffic;

	if (!vteps.lookup(&key))
		return DROP_VNI_UNKNOWN;
	key.vtep = outer->flow.saddr;
	traffic = vteps.lookup(&key);
	if (!traffic)
		return DROP_VTEP_UNKNOWN;
	traffic->packets += 1;
	traffic->bytes += outer->ip_len;
	return DROP_NONE;
}

/* Hands a decapsulated packet to the local socket, as if the VPC device had received it. */
static __always_inline int deliver(struct __sk_buff *skb, const struct machine *machine)
{
	u8 macs[12];

	__builtin_memcpy(macs, machine->vpc_mac, 6);
	__builtin_memcpy(macs + 6, machine->inner_mac, 6);
	if (bpf_skb_store_bytes(skb, 0, macs, sizeof(macs), 0))
		return drop(DROP_INTERNAL);
	return bpf_redirect(machine->vpc_ifindex, BPF_F_INGRESS);
}

/* The packet is `inner` in VNI `vni`, its headers still outer. */
static __always_inline int from_vpc(struct __sk_buff *skb, struct packet *inner, u8 outer_tos,
				    const struct machine *machine)
{
	struct session *session = sessions.lookup(&inner->flow);
	struct flow peer;

	if (!session)
		return drop(DROP_NO_SESSION);
	if (ecn_lost(outer_tos, inner->tos))
		return drop(DROP_ECN);
	session_touch(session, inner);
	peer = session->peer;
	if (vxlan_pop(skb))
		return drop(DROP_ENCAP);
	inner->l3 -= OUTER_LEN;
	inner->l4 -= OUTER_LEN;
	if (ecn_decap(skb, inner, outer_tos) || rewrite(skb, inner, &peer, 0))
		return drop(DROP_INTERNAL);
	count(EVENT_DECAP);
	return deliver(skb, machine);
}

int vxlan_ingress(struct __sk_buff *skb)
{
	struct packet outer = {}, inner = {};
	struct machine *self;
	void *data, *data_end;
	int parsed, reason;
	u32 zero = 0, vni = 0;

	pull(skb, ETH_LEN + IPV4_LEN + UDP_LEN);
	parsed =
	    parse_frame((void *)(long)skb->data, (void *)(long)skb->data_end, 0, skb->len, &outer);
	self = machine.lookup(&zero);
	if (!self || !is_tunnel(&outer, self))
		return TC_ACT_OK;
	if (parsed == PARSED_FRAGMENT || parsed == PARSED_IP_OPTIONS)
		return drop(unparsed_reason(parsed));
	if (outer.flow.dport != bpf_htons(VXLAN_PORT))
		return TC_ACT_OK;
	if (parsed != PARSED_OK)
		return drop(DROP_MALFORMED);

	pull(skb, VXLAN_HEADER_END + IPV4_LEN + TCP_MIN_LEN);
	data = (void *)(long)skb->data;
	data_end = (void *)(long)skb->data_end;
	reason = vxlan_check(data, data_end, self, &vni);
	if (reason != DROP_NONE)
		return drop(reason);
	reason = vtep_check(&outer, vni);
	if (reason != DROP_NONE)
		return drop(reason);
	parsed = parse_frame(data, data_end, VXLAN_HEADER_END - ETH_LEN, skb->len, &inner);
	if (parsed != PARSED_OK)
		return drop(unparsed_reason(parsed));
	inner.flow.vni = vni;
	return from_vpc(skb, &inner, outer.tos, self);
}
