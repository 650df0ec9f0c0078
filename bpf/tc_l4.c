/* tc_l4.c: the L4 tier. Ingress of an L4 node's device: VIP -> gateway and back, by full NAT.
 *
 * client -> VIP: session, or for a SYN a new one towards the gateway that the ring names; leaves
 * from a local address with the client's own in a TOA option. gateway -> local address: back to the
 * client, from the VIP. Packets for addresses that are not the datapath's pass. */
#include "forward.h"
#include "mss.h"
#include "ring.h"
#include "toa.h"

/* Finds where a new session goes. Returns enum drop_reason. */
static __always_inline int steer(const struct packet *pkt, struct flow *reply)
{
	struct service_key key = {pkt->flow.daddr, pkt->flow.dport, pkt->flow.proto, 0};
	struct service *service = services.lookup(&key);
	struct target *target;

	if (!service)
		return DROP_NO_SERVICE;
	target = ring_target(service, &pkt->flow);
	if (!target)
		return DROP_NO_TARGET;
	reply->saddr = target->addr;
	reply->sport = target->port;
	reply->proto = pkt->flow.proto;
	return DROP_NONE;
}

/* Returns the session that this packet continues or opens, or NULL with *reason saying why there is
 * none. */
static __always_inline struct session *vip_session(struct packet *pkt,
						   const struct machine *machine, int *reason)
{
	struct session *session = sessions.lookup(&pkt->flow);
	int opens = pkt->flow.proto == IPPROTO_TCP && pkt->syn && !pkt->ack;
	struct flow reply = {};

	if (session && opens && session_closing(session)) {
		session_remove(&pkt->flow, session);
		count(EVENT_SESSION_REOPENED);
		session = 0;
	}
	if (session)
		return session;
	*reason = pkt->flow.proto == IPPROTO_TCP ? DROP_NO_SESSION : DROP_PROTOCOL;
	if (!opens)
		return 0;
	*reason = steer(pkt, &reply);
	if (*reason != DROP_NONE)
		return 0;
	*reason = session_open(pkt, &reply, machine);
	if (*reason != DROP_NONE)
		return 0;
	*reason = DROP_NO_SESSION;
	return sessions.lookup(&pkt->flow);
}

static __always_inline int to_gateway(struct __sk_buff *skb, struct packet *pkt,
				      const struct machine *machine)
{
	int reason = DROP_INTERNAL;
	struct session *session = vip_session(pkt, machine, &reason);
	struct flow peer;
	int untold;

	if (!session)
		return drop(reason);
	session_touch(session, pkt);
	peer = session->peer;
	untold = !(session->tcp_seen & SEEN_PEER) && !pkt->syn && !pkt->rst;
	/* toa_mss is the device's MTU less both headers and the option. */
	if (pkt->flow.proto == IPPROTO_TCP && untold &&
	    toa_write(skb, pkt, machine->toa_kind,
		      machine->toa_mss + IPV4_LEN + TCP_MIN_LEN + TOA_LEN))
		return drop(DROP_INTERNAL);
	if (rewrite(skb, pkt, &peer, 1))
		return drop(DROP_INTERNAL);
	return forward_routed(skb, pkt, &peer);
}

static __always_inline int to_client(struct __sk_buff *skb, struct packet *pkt,
				     const struct machine *machine)
{
	struct session *session = sessions.lookup(&pkt->flow);
	struct flow peer;

	if (!session)
		return drop(DROP_NO_SESSION);
	session_touch(session, pkt);
	peer = session->peer;
	if (pkt->flow.proto == IPPROTO_TCP && pkt->syn && mss_clamp(skb, pkt, machine->toa_mss))
		return drop(DROP_INTERNAL);
	if (rewrite(skb, pkt, &peer, 1))
		return drop(DROP_INTERNAL);
	return forward_routed(skb, pkt, &peer);
}

int l4_ingress(struct __sk_buff *skb)
{
	struct packet pkt = {};
	struct machine *self;
	u32 *ours, zero = 0;
	int parsed;

	pull(skb, ETH_LEN + IPV4_LEN + TCP_MIN_LEN);
	parsed =
	    parse_frame((void *)(long)skb->data, (void *)(long)skb->data_end, 0, skb->len, &pkt);
	ours = owned.lookup(&pkt.flow.daddr);
	self = machine.lookup(&zero);
	if (!ours || !self)
		return TC_ACT_OK;
	if (parsed != PARSED_OK)
		return drop(unparsed_reason(parsed));
	if (pkt.ttl <= 1)
		return drop(DROP_TTL_EXPIRED);
	if (*ours == OWNED_VIP)
		return to_gateway(skb, &pkt, self);
	return to_client(skb, &pkt, self);
}
