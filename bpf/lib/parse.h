/* parse.h: one packet, parsed once into one struct.
 *
 * parse_frame() checks every length before it reads. It never judges who a packet is for: a caller
 * drops only what is its business and passes the rest. */
#ifndef UNILB_PARSE_H
#define UNILB_PARSE_H

#include <uapi/linux/bpf.h>
#include <uapi/linux/if_ether.h>
#include <uapi/linux/in.h>
#include <uapi/linux/ip.h>
#include <uapi/linux/tcp.h>
#include <uapi/linux/udp.h>
#include "addr.h"

#define IP_MF	    0x2000 /* more fragments */
#define IP_OFFSET   0x1fff
#define ETH_LEN	    14
#define IPV4_LEN    20
#define TCP_MIN_LEN 20
#define UDP_LEN	    8

/* What parse_frame() found out. Offsets are bytes from the start of the frame that skb->data shows.
 */
struct packet {
	struct flow flow; /* vni is left 0; ports are 0 for protocols without them */
	u32 l3;
	u32 l4;
	u32 ip_len; /* IPv4 total length, host order */
	u8 tos;
	u8 ttl;
	u8 tcp_doff; /* 32-bit words */
	u8 syn, ack, fin, rst;
};

enum parsed {
	PARSED_OK = 0,
	PARSED_NOT_IPV4,
	PARSED_MALFORMED,
	PARSED_IP_OPTIONS, /* flow has addresses and protocol only, as for the two below */
	PARSED_FRAGMENT,
	PARSED_PROTOCOL,
};

static __always_inline int parse_tcp(void *data, void *data_end, struct packet *pkt)
{
	struct tcphdr *tcp = data + pkt->l4;

	if ((void *)(tcp + 1) > data_end)
		return PARSED_MALFORMED;
	pkt->flow.sport = tcp->source;
	pkt->flow.dport = tcp->dest;
	pkt->tcp_doff = tcp->doff;
	pkt->syn = tcp->syn;
	pkt->ack = tcp->ack;
	pkt->fin = tcp->fin;
	pkt->rst = tcp->rst;
	if (tcp->doff < 5 || pkt->ip_len < IPV4_LEN + tcp->doff * 4)
		return PARSED_MALFORMED;
	return PARSED_OK;
}

static __always_inline int parse_udp(void *data, void *data_end, struct packet *pkt)
{
	struct udphdr *udp = data + pkt->l4;

	if ((void *)(udp + 1) > data_end)
		return PARSED_MALFORMED;
	pkt->flow.sport = udp->source;
	pkt->flow.dport = udp->dest;
	if (bpf_ntohs(udp->len) < UDP_LEN || pkt->ip_len < IPV4_LEN + bpf_ntohs(udp->len))
		return PARSED_MALFORMED;
	return PARSED_OK;
}

/* Parses the Ethernet frame at `offset` (a compile-time constant). Returns enum parsed. `len` is
 * skb->len: the linear part may be shorter, so callers pull the headers in first. */
static __always_inline int parse_frame(void *data, void *data_end, u32 offset, u32 len,
				       struct packet *pkt)
{
	struct ethhdr *eth = data + offset;
	struct iphdr *ip = (void *)(eth + 1);

	if ((void *)(eth + 1) > data_end)
		return PARSED_MALFORMED;
	if (eth->h_proto != bpf_htons(ETH_P_IP))
		return PARSED_NOT_IPV4;
	if ((void *)(ip + 1) > data_end)
		return PARSED_MALFORMED;
	pkt->l3 = offset + ETH_LEN;
	pkt->l4 = pkt->l3 + IPV4_LEN;
	pkt->ip_len = bpf_ntohs(ip->tot_len);
	pkt->tos = ip->tos;
	pkt->ttl = ip->ttl;
	pkt->flow.saddr = addr_from_v4(ip->saddr);
	pkt->flow.daddr = addr_from_v4(ip->daddr);
	pkt->flow.proto = ip->protocol;
	if (ip->version != 4 || ip->ihl < 5 || pkt->ip_len < IPV4_LEN ||
	    pkt->l3 + pkt->ip_len > len)
		return PARSED_MALFORMED;
	if (ip->ihl > 5)
		return PARSED_IP_OPTIONS;
	if (ip->frag_off & bpf_htons(IP_MF | IP_OFFSET))
		return PARSED_FRAGMENT;
	if (ip->protocol == IPPROTO_TCP)
		return parse_tcp(data, data_end, pkt);
	if (ip->protocol == IPPROTO_UDP)
		return parse_udp(data, data_end, pkt);
	return PARSED_PROTOCOL;
}

/* Makes the first `len` bytes linear when they are there at all; a shorter packet stays as it is
 * and fails the parser's own checks. Packet pointers are void afterwards. */
static __always_inline void pull(struct __sk_buff *skb, u32 len)
{
	if ((void *)(long)skb->data + len > (void *)(long)skb->data_end)
		bpf_skb_pull_data(skb, len < skb->len ? len : skb->len);
}

/* Returns the drop reason for a packet that is ours but could not be parsed. */
static __always_inline int unparsed_reason(int parsed)
{
	switch (parsed) {
	case PARSED_IP_OPTIONS:
		return DROP_IP_OPTIONS;
	case PARSED_FRAGMENT:
		return DROP_FRAGMENT;
	case PARSED_PROTOCOL:
		return DROP_PROTOCOL;
	default:
		return DROP_MALFORMED;
	}
}

#endif
