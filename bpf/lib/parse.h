/* parse.h: one packet, parsed once into one struct.
 *
 * parse_frame() checks every length before it reads. It never judges who a packet is for: a caller
 * drops only what is its business and passes the rest. */
#ifndef UNILB_PARSE_H
#define UNILB_PARSE_H

#include <uapi/linux/if_ether.h>
#include <uapi/linux/in.h>
#include <uapi/linux/ip.h>
#include <uapi/linux/tcp.h>
#include <uapi/linux/udp.h>
#include "addr.h"
#include "ctx.h"

#define IP_MF	    0x2000 /* more fragments */
#define IP_OFFSET   0x1fff
#define ETH_LEN	    14
#define IPV4_LEN    20
#define IPV6_LEN    40
#define TCP_MIN_LEN 20
#define UDP_LEN	    8
#define ICMP_LEN    8
#define PARSE_LEN   (ETH_LEN + IPV6_LEN + TCP_MIN_LEN) /* what parse_frame() may read */

#define PROTO_ICMP6    58
#define PROTO_FRAGMENT 44

#define ICMP4_ECHO_REPLY    0
#define ICMP4_UNREACHABLE   3
#define ICMP4_FRAG_NEEDED   4 /* code of the above */
#define ICMP4_ECHO	    8
#define ICMP4_TIME_EXCEEDED 11
#define ICMP4_PARAMETER	    12
#define ICMP6_UNREACHABLE   1
#define ICMP6_TOO_BIG	    2
#define ICMP6_PARAMETER	    4 /* and all errors are below 128 (RFC 4443) */
#define ICMP6_ECHO	    128
#define ICMP6_ECHO_REPLY    129

struct ipv6 {
	__be32 vtcfl; /* version, traffic class, flow label */
	__be16 payload_len;
	u8 nexthdr;
	u8 hop_limit;
	struct addr saddr;
	struct addr daddr;
};

struct icmp {
	u8 type;
	u8 code;
	__be16 csum;
	__be16 id;
	__be16 seq; /* of an echo; the MTU of "fragmentation needed" */
};

/* What parse_frame() found out. Offsets are bytes from the start of the frame that the context
 * shows. An echo request's id is its flow's source port, a reply's the destination port, the other
 * port is 0: so the two are each other's reverse. */
struct packet {
	struct flow flow; /* vni is left 0; ports are 0 for protocols without them */
	u32 l3;
	u32 l4;
	u32 ip_len; /* of the whole IP packet, host order */
	u32 ack_seq;
	u32 seq;
	u8 v6;
	u8 tos;
	u8 ttl;
	u8 tcp_doff; /* 32-bit words */
	u8 syn, ack, fin, rst;
	u8 icmp_type, icmp_code;
	u8 is_echo; /* an echo request or reply */
	u8 opens;   /* may be the first of a session */
};

enum parsed {
	PARSED_OK = 0,
	PARSED_ICMP_ERROR,
	PARSED_NOT_IP,
	PARSED_MALFORMED,
	PARSED_IP_OPTIONS, /* flow has addresses and protocol only, as for the two below */
	PARSED_FRAGMENT,
	PARSED_PROTOCOL,
};

static __always_inline int parse_tcp(void *l4, void *data_end, u32 l4_len, struct packet *pkt)
{
	struct tcphdr *tcp = l4;

	if ((void *)(tcp + 1) > data_end)
		return PARSED_MALFORMED;
	pkt->flow.sport = tcp->source;
	pkt->flow.dport = tcp->dest;
	pkt->tcp_doff = tcp->doff;
	pkt->seq = bpf_ntohl(tcp->seq);
	pkt->ack_seq = bpf_ntohl(tcp->ack_seq);
	pkt->syn = tcp->syn;
	pkt->ack = tcp->ack;
	pkt->fin = tcp->fin;
	pkt->rst = tcp->rst;
	pkt->opens = tcp->syn && !tcp->ack && !tcp->rst && !tcp->fin;
	if (tcp->doff < 5 || l4_len < tcp->doff * 4)
		return PARSED_MALFORMED;
	return PARSED_OK;
}

static __always_inline int parse_udp(void *l4, void *data_end, u32 l4_len, struct packet *pkt)
{
	struct udphdr *udp = l4;

	if ((void *)(udp + 1) > data_end)
		return PARSED_MALFORMED;
	pkt->flow.sport = udp->source;
	pkt->flow.dport = udp->dest;
	pkt->opens = 1;
	if (bpf_ntohs(udp->len) < UDP_LEN || l4_len < bpf_ntohs(udp->len))
		return PARSED_MALFORMED;
	return PARSED_OK;
}

static __always_inline int parse_icmp(void *l4, void *data_end, u32 l4_len, u8 v6,
				      struct packet *pkt)
{
	struct icmp *icmp = l4;
	u8 type;

	if ((void *)(icmp + 1) > data_end || l4_len < ICMP_LEN)
		return PARSED_MALFORMED;
	type = pkt->icmp_type = icmp->type;
	pkt->icmp_code = icmp->code;
	if (type == (v6 ? ICMP6_ECHO : ICMP4_ECHO)) {
		pkt->flow.sport = icmp->id;
		pkt->is_echo = pkt->opens = 1;
		return PARSED_OK;
	}
	if (type == (v6 ? ICMP6_ECHO_REPLY : ICMP4_ECHO_REPLY)) {
		pkt->flow.dport = icmp->id;
		pkt->is_echo = 1;
		return PARSED_OK;
	}
	if (v6 ? type >= ICMP6_UNREACHABLE && type <= ICMP6_PARAMETER
	       : type == ICMP4_UNREACHABLE || type == ICMP4_TIME_EXCEEDED ||
		     type == ICMP4_PARAMETER)
		return PARSED_ICMP_ERROR;
	return PARSED_PROTOCOL;
}

static __always_inline int parse_l4(void *l4, void *data_end, u32 l4_len, u8 v6, struct packet *pkt)
{
	switch (pkt->flow.proto) {
	case IPPROTO_TCP:
		return parse_tcp(l4, data_end, l4_len, pkt);
	case IPPROTO_UDP:
		return parse_udp(l4, data_end, l4_len, pkt);
	case IPPROTO_ICMP:
		return v6 ? PARSED_PROTOCOL : parse_icmp(l4, data_end, l4_len, 0, pkt);
	case PROTO_ICMP6:
		return v6 ? parse_icmp(l4, data_end, l4_len, 1, pkt) : PARSED_PROTOCOL;
	default:
		return PARSED_PROTOCOL;
	}
}

static __always_inline int parse_v4(ctx_t *ctx, u32 at, struct packet *pkt)
{
	void *data = ctx_data(ctx), *data_end = ctx_data_end(ctx);
	struct iphdr *ip = data + at;

	if ((void *)(ip + 1) > data_end)
		return PARSED_MALFORMED;
	pkt->l4 = at + IPV4_LEN;
	pkt->ip_len = bpf_ntohs(ip->tot_len);
	pkt->tos = ip->tos;
	pkt->ttl = ip->ttl;
	pkt->flow.saddr = addr_from_v4(ip->saddr);
	pkt->flow.daddr = addr_from_v4(ip->daddr);
	pkt->flow.proto = ip->protocol;
	if (ip->version != 4 || ip->ihl < 5 || pkt->ip_len < IPV4_LEN ||
	    !ctx_holds(ctx, at + pkt->ip_len))
		return PARSED_MALFORMED;
	if (ip->ihl > 5)
		return PARSED_IP_OPTIONS;
	if (ip->frag_off & bpf_htons(IP_MF | IP_OFFSET))
		return PARSED_FRAGMENT;
	return parse_l4(ip + 1, data_end, pkt->ip_len - IPV4_LEN, 0, pkt);
}

static __always_inline int is_extension(u8 nexthdr)
{
	return nexthdr == 0 || nexthdr == 43 || nexthdr == 50 || nexthdr == 51 || nexthdr == 60 ||
	       nexthdr == 135;
}

static __always_inline int parse_v6(ctx_t *ctx, u32 at, struct packet *pkt)
{
	void *data = ctx_data(ctx), *data_end = ctx_data_end(ctx);
	struct ipv6 *ip = data + at;

	if ((void *)(ip + 1) > data_end)
		return PARSED_MALFORMED;
	pkt->v6 = 1;
	pkt->l4 = at + IPV6_LEN;
	pkt->ip_len = IPV6_LEN + bpf_ntohs(ip->payload_len);
	pkt->tos = bpf_ntohl(ip->vtcfl) >> 20 & 0xff;
	pkt->ttl = ip->hop_limit;
	pkt->flow.saddr = ip->saddr;
	pkt->flow.daddr = ip->daddr;
	pkt->flow.proto = ip->nexthdr;
	if (bpf_ntohl(ip->vtcfl) >> 28 != 6 || !ctx_holds(ctx, at + pkt->ip_len))
		return PARSED_MALFORMED;
	if (ip->nexthdr == PROTO_FRAGMENT || is_extension(ip->nexthdr))
		return ip->nexthdr == PROTO_FRAGMENT ? PARSED_FRAGMENT : PARSED_IP_OPTIONS;
	return parse_l4(ip + 1, data_end, pkt->ip_len - IPV6_LEN, 1, pkt);
}

/* Parses the Ethernet frame at `offset`, a compile-time constant; its headers are pulled in
 * already. Returns enum parsed. */
static __always_inline int parse_frame(ctx_t *ctx, u32 offset, struct packet *pkt)
{
	struct ethhdr *eth = ctx_data(ctx) + offset;

	if ((void *)(eth + 1) > ctx_data_end(ctx))
		return PARSED_MALFORMED;
	pkt->l3 = offset + ETH_LEN;
	if (eth->h_proto == bpf_htons(ETH_P_IP))
		return parse_v4(ctx, offset + ETH_LEN, pkt);
	if (eth->h_proto == bpf_htons(ETH_P_IPV6))
		return parse_v6(ctx, offset + ETH_LEN, pkt);
	return PARSED_NOT_IP;
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
