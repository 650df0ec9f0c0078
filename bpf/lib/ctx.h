/* ctx.h: the packet as a program sees it, the same for TC and XDP.
 *
 * A program file that defines UNILB_XDP is compiled for XDP, any other for TC; nothing below this
 * header and forward.h knows which. TC keeps skb->csum and GSO right through its helpers; XDP has
 * neither, so there the checksums in the packet are all there is, and they must be complete: no
 * CHECKSUM_PARTIAL from a virtual device (`unilb doctor`). */
#ifndef UNILB_CTX_H
#define UNILB_CTX_H

#include <uapi/linux/pkt_cls.h>
#include "linear.h"

/* Newer than the header tree that BCC compiles with may be (6.1): the kernel's numbers. */
#define CSUM_IPV6	       (1ULL << 7) /* BPF_F_IPV6, 6.16 and stable 6.12.117 */
#define ADJ_ROOM_DECAP_L3_IPV4 (1ULL << 7) /* BPF_F_ADJ_ROOM_DECAP_L3_IPV4, 6.3 */
#define ADJ_ROOM_DECAP_L3_IPV6 (1ULL << 8)

static __always_inline u16 csum_fold_u64(u64 sum)
{
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32 & 0xffff) + (sum >> 48);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (u16)sum;
}

#ifdef UNILB_XDP

#define VERDICT_PASS	 XDP_PASS
#define VERDICT_DROP	 XDP_DROP
#define CTX_HAS_GSO(ctx) 0

static __always_inline u32 ctx_len(ctx_t *ctx)
{
	return bpf_xdp_get_buff_len(ctx);
}

/* Says whether the frame has so many bytes. The helper is asked only where the linear part has not.
 */
static __always_inline int ctx_holds(ctx_t *ctx, u32 len)
{
	return ctx_data(ctx) + len <= ctx_data_end(ctx) || len <= ctx_len(ctx);
}

static __always_inline u32 ctx_ifindex(ctx_t *ctx)
{
	return ctx->ingress_ifindex;
}

/* The driver puts the headers into the linear part. */
static __always_inline void pull(ctx_t *ctx, u32 len)
{
}

/* The sizes that headers are changed by, without a helper where they are linear. A packet that is
 * too short for one fails: to try a helper then would double what the verifier has to follow. */
#define CTX_IS_DIRECT(len) ((len) == 1 || (len) == 2 || (len) == 4 || (len) == 8 || (len) == 12)

static __always_inline int ctx_load(ctx_t *ctx, u32 at, void *to, u32 len)
{
	if (!__builtin_constant_p(len) || !CTX_IS_DIRECT(len))
		return bpf_xdp_load_bytes(ctx, at, to, len);
	return ctx_header_load(ctx, at, to, len);
}

static __always_inline int ctx_store(ctx_t *ctx, u32 at, void *from, u32 len)
{
	if (!__builtin_constant_p(len) || !CTX_IS_DIRECT(len))
		return bpf_xdp_store_bytes(ctx, at, from, len);
	return ctx_header_store(ctx, at, from, len);
}

/* Writes bytes that no checksum in the packet balances. */
#define ctx_store_unbalanced ctx_store

/* Lengthens or cuts the frame at its end. */
static __always_inline int ctx_resize(ctx_t *ctx, u32 len)
{
	return bpf_xdp_adjust_tail(ctx, (int)(len - ctx_len(ctx)));
}

/* The semantics of bpf_l3_csum_replace(): size 0 takes a difference in `to`. */
static __always_inline int ctx_csum(ctx_t *ctx, u32 at, u64 from, u64 to, u64 flags)
{
	u16 csum = 0;
	u64 sum;

	if (ctx_load(ctx, at, &csum, 2))
		return -EFAULT;
	if (flags & BPF_F_MARK_MANGLED_0 && !csum)
		return 0;
	sum = (u16)~csum;
	switch (flags & 0xf) {
	case 0:
		sum += (u32)to;
		break;
	case 2:
		sum += (u16) ~(u16)from + (u64)(u16)to;
		break;
	default:
		sum += (u32) ~(u32)from + (u64)(u32)to;
	}
	csum = ~csum_fold_u64(sum);
	if (flags & BPF_F_MARK_MANGLED_0 && !csum)
		csum = 0xffff;
	return ctx_store(ctx, at, &csum, 2);
}
#define ctx_csum_l3 ctx_csum
#define ctx_csum_l4 ctx_csum

#else

#define VERDICT_PASS	 TC_ACT_OK
#define VERDICT_DROP	 TC_ACT_SHOT
#define CTX_HAS_GSO(ctx) ((ctx)->gso_size)

static __always_inline u32 ctx_len(ctx_t *ctx)
{
	return ctx->len;
}

static __always_inline int ctx_holds(ctx_t *ctx, u32 len)
{
	return len <= ctx->len;
}

/* The device it came in by, or the one that a local socket's packet is about to leave by. */
static __always_inline u32 ctx_ifindex(ctx_t *ctx)
{
	return ctx->ingress_ifindex ?: ctx->ifindex;
}

/* Makes the first `len` bytes linear when they are there at all; a shorter packet stays as it is
 * and fails the parser's own checks. Packet pointers are void afterwards. */
static __always_inline void pull(ctx_t *ctx, u32 len)
{
	if (ctx_data(ctx) + len > ctx_data_end(ctx))
		bpf_skb_pull_data(ctx, len < ctx->len ? len : ctx->len);
}

static __always_inline int ctx_load(ctx_t *ctx, u32 at, void *to, u32 len)
{
	return bpf_skb_load_bytes(ctx, at, to, len);
}

static __always_inline int ctx_store(ctx_t *ctx, u32 at, void *from, u32 len)
{
	return bpf_skb_store_bytes(ctx, at, from, len, 0);
}

/* Writes bytes that no checksum in the packet balances: skb->csum changes. */
static __always_inline int ctx_store_unbalanced(ctx_t *ctx, u32 at, void *from, u32 len)
{
	return bpf_skb_store_bytes(ctx, at, from, len, BPF_F_RECOMPUTE_CSUM);
}

static __always_inline int ctx_resize(ctx_t *ctx, u32 len)
{
	return bpf_skb_change_tail(ctx, len, 0);
}

static __always_inline int ctx_csum_l3(ctx_t *ctx, u32 at, u64 from, u64 to, u64 flags)
{
	return bpf_l3_csum_replace(ctx, at, from, to, flags);
}

static __always_inline int ctx_csum_l4(ctx_t *ctx, u32 at, u64 from, u64 to, u64 flags)
{
	return bpf_l4_csum_replace(ctx, at, from, to, flags);
}

#endif

#endif
