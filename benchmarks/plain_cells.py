"""The cells of the plain form (see plain.py): a convolution for each input, then one operation after the other."""

from __future__ import annotations

import torch
from torch import Tensor, nn

FORGET_BIAS = 1.0
Maps = tuple[Tensor, ...]


def conv(in_channels: int, out_channels: int, kernel_size: int) -> nn.Conv2d:
    """A convolution that keeps the map's size, without bias."""
    return nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=False)


class ConvLSTMCell(nn.Module):
    """No peephole, no bias, no forget bias."""

    def __init__(self, in_channels: int, hidden: int, kernel_size: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.conv_x = conv(in_channels, 4 * hidden, kernel_size)
        self.conv_h = conv(hidden, 4 * hidden, kernel_size)

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> Maps:
        """(h', c')."""
        ix, fx, gx, ox = torch.split(self.conv_x(x), self.hidden, dim=1)
        ih, fh, gh, oh = torch.split(self.conv_h(h), self.hidden, dim=1)
        i = torch.sigmoid(ix + ih)
        f = torch.sigmoid(fx + fh)
        g = torch.tanh(gx + gh)
        c = f * c + i * g
        o = torch.sigmoid(ox + oh)
        return o * torch.tanh(c), c


class STLSTMCell(nn.Module):
    """The cell of PredRNN and PredRNN-V2, and the bottom of OpenSTL's MIM."""

    def __init__(self, in_channels: int, hidden: int, kernel_size: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.conv_x = conv(in_channels, 7 * hidden, kernel_size)
        self.conv_h = conv(hidden, 4 * hidden, kernel_size)
        self.conv_m = conv(hidden, 3 * hidden, kernel_size)
        self.conv_o = conv(2 * hidden, hidden, kernel_size)
        self.fusion = conv(2 * hidden, hidden, 1)

    def forward(self, x: Tensor, h: Tensor, c: Tensor, m: Tensor) -> Maps:
        """(h', c', m', what c gained, what m gained)."""
        ix, fx, gx, imx, fmx, gmx, ox = torch.split(self.conv_x(x), self.hidden, dim=1)
        ih, fh, gh, oh = torch.split(self.conv_h(h), self.hidden, dim=1)
        i_m, f_m, g_m = torch.split(self.conv_m(m), self.hidden, dim=1)
        i = torch.sigmoid(ix + ih)
        f = torch.sigmoid(fx + fh + FORGET_BIAS)
        g = torch.tanh(gx + gh)
        delta_c = i * g
        c = f * c + delta_c
        i = torch.sigmoid(imx + i_m)
        f = torch.sigmoid(fmx + f_m + FORGET_BIAS)
        g = torch.tanh(gmx + g_m)
        delta_m = i * g
        m = f * m + delta_m
        both = torch.cat((c, m), 1)
        o = torch.sigmoid(ox + oh + self.conv_o(both))
        return o * torch.tanh(self.fusion(both)), c, m, delta_c, delta_m


class CausalLSTMCell(nn.Module):
    """The cell of PredRNN++, layers of equal width."""

    def __init__(self, in_channels: int, hidden: int, kernel_size: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.conv_x = conv(in_channels, 7 * hidden, kernel_size)
        self.conv_h = conv(hidden, 4 * hidden, kernel_size)
        self.conv_c = conv(hidden, 3 * hidden, kernel_size)
        self.conv_m = conv(hidden, 3 * hidden, kernel_size)
        self.conv_c2m = conv(hidden, 4 * hidden, kernel_size)
        self.conv_om = conv(hidden, hidden, kernel_size)
        self.fusion = conv(2 * hidden, hidden, 1)

    def forward(self, x: Tensor, h: Tensor, c: Tensor, m: Tensor) -> Maps:
        """(h', c', m')."""
        ix, fx, gx, imx, fmx, gmx, ox = torch.split(self.conv_x(x), self.hidden, dim=1)
        ih, fh, gh, oh = torch.split(self.conv_h(h), self.hidden, dim=1)
        i_m, f_m, m_m = torch.split(self.conv_m(m), self.hidden, dim=1)
        ic, fc, gc = torch.split(self.conv_c(c), self.hidden, dim=1)
        i = torch.sigmoid(ix + ih + ic)
        f = torch.sigmoid(fx + fh + fc + FORGET_BIAS)
        g = torch.tanh(gx + gh + gc)
        c = f * c + i * g
        i2, f2, g2, o2 = torch.split(self.conv_c2m(c), self.hidden, dim=1)
        i = torch.sigmoid(imx + i_m + i2)
        f = torch.sigmoid(fmx + f_m + f2 + FORGET_BIAS)
        g = torch.tanh(gmx + g2)
        m = f * torch.tanh(m_m) + i * g
        o = torch.tanh(ox + oh + o2 + self.conv_om(m))
        return o * torch.tanh(self.fusion(torch.cat((c, m), 1))), c, m


class Highway(nn.Module):
    """The gradient highway of PredRNN++."""

    def __init__(self, hidden: int, kernel_size: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.conv_x = conv(hidden, 2 * hidden, kernel_size)
        self.conv_z = conv(hidden, 2 * hidden, kernel_size)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """Z'."""
        p, u = torch.split(self.conv_x(x) + self.conv_z(z), self.hidden, dim=1)
        p, u = torch.tanh(p), torch.sigmoid(u)
        return u * p + (1 - u) * z


class MemoryModule(nn.Module):
    """MIM-N and MIM-S; the two peepholes on the old memory are one map of 2N channels."""

    def __init__(self, hidden: int, kernel_size: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.hidden = hidden
        self.conv_x = conv(hidden, 4 * hidden, kernel_size)
        self.conv_h = conv(hidden, 4 * hidden, kernel_size)
        self.peephole_if = nn.Parameter(torch.zeros(2 * hidden, *size))
        self.peephole_o = nn.Parameter(torch.zeros(hidden, *size))

    def forward(self, x: Tensor, recurrent: Tensor, s: Tensor) -> Maps:
        """(out, s')."""
        ih, fh, gh, oh = torch.split(self.conv_h(recurrent), self.hidden, dim=1)
        i_s, f_s = torch.split(s.repeat(1, 2, 1, 1) * self.peephole_if, self.hidden, dim=1)
        ix, fx, gx, ox = torch.split(self.conv_x(x), self.hidden, dim=1)
        i = torch.sigmoid(ix + ih + i_s)
        f = torch.sigmoid(fx + fh + f_s + FORGET_BIAS)
        s = f * s + i * torch.tanh(gx + gh)
        o = torch.sigmoid(ox + oh + s * self.peephole_o)
        return o * torch.tanh(s), s


class MIMBlock(nn.Module):
    """A layer of MIM above the bottom, without its MIM-N."""

    def __init__(self, hidden: int, kernel_size: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.hidden = hidden
        self.conv_t = conv(hidden, 3 * hidden, kernel_size)
        self.conv_s = conv(hidden, 4 * hidden, kernel_size)
        self.conv_x = conv(hidden, 4 * hidden, kernel_size)
        self.mim_s = MemoryModule(hidden, kernel_size, size)
        self.fusion = conv(2 * hidden, hidden, 1)

    def forward(self, x: Tensor, d: Tensor, h: Tensor, c: Tensor, m: Tensor, s: Tensor) -> Maps:
        """(h', c', m', s')."""
        it, gt, ot = torch.split(self.conv_t(h), self.hidden, dim=1)
        i_s, f_s, g_s, o_s = torch.split(self.conv_s(m), self.hidden, dim=1)
        ix, fx, gx, ox = torch.split(self.conv_x(x), self.hidden, dim=1)
        i = torch.sigmoid(ix + it)
        g = torch.tanh(gx + gt)
        im = torch.sigmoid(ix + i_s)
        fm = torch.sigmoid(fx + f_s + FORGET_BIAS)
        gm = torch.tanh(gx + g_s)
        m = fm * m + im * gm
        tau, s = self.mim_s(d, c, s)
        c = tau + i * g
        o = torch.sigmoid(ox + ot + o_s)
        return o * torch.tanh(self.fusion(torch.cat((c, m), 1))), c, m, s
