//! Decimal arithmetic on the shortest digits of floats, as sprig's float functions do it.

/// The digits a division keeps after the point.
const DIVISION_DIGITS: u32 = 16;

/// A decimal number, or a float where the digits would not fit.
#[derive(Debug, Clone, Copy)]
pub(super) enum Decimal {
    /// `digits` divided by ten to the power of `scale`.
    Exact {
        digits: i128,
        scale: u32,
    },
    Float(f64),
}

impl Decimal {
    pub(super) fn from_float(value: f64) -> Self {
        let text = format!("{value}");
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let digits = format!("{whole}{fraction}").parse::<i128>().ok();
        match (digits, u32::try_from(fraction.len())) {
            (Some(digits), Ok(scale)) if scale < 30 => Self::Exact { digits, scale },
            _ => Self::Float(value),
        }
    }

    pub(super) fn to_float(self) -> f64 {
        match self {
            Self::Float(value) => value,
            Self::Exact { digits, scale } => {
                format!("{digits}e-{scale}").parse().unwrap_or(f64::NAN)
            }
        }
    }

    pub(super) fn add(self, other: Self) -> Self {
        self.aligned(other, i128::checked_add)
            .unwrap_or_else(|| Self::Float(self.to_float() + other.to_float()))
    }

    pub(super) fn sub(self, other: Self) -> Self {
        self.aligned(other, i128::checked_sub)
            .unwrap_or_else(|| Self::Float(self.to_float() - other.to_float()))
    }

    pub(super) fn mul(self, other: Self) -> Self {
        let exact = match (self, other) {
            (
                Self::Exact {
                    digits: a,
                    scale: m,
                },
                Self::Exact {
                    digits: b,
                    scale: n,
                },
            ) => a.checked_mul(b).map(|digits| Self::Exact {
                digits,
                scale: m + n,
            }),
            _ => None,
        };
        exact.unwrap_or_else(|| Self::Float(self.to_float() * other.to_float()))
    }

    /// Divides, rounded half away from zero. The divisor is not zero.
    pub(super) fn div(self, other: Self) -> Self {
        self.divided(other)
            .unwrap_or_else(|| Self::Float(self.to_float() / other.to_float()))
    }

    fn divided(self, other: Self) -> Option<Self> {
        let (
            Self::Exact {
                digits: a,
                scale: m,
            },
            Self::Exact {
                digits: b,
                scale: n,
            },
        ) = (self, other)
        else {
            return None;
        };
        let shift = (DIVISION_DIGITS + n).checked_sub(m)?;
        let dividend = a.checked_mul(10_i128.checked_pow(shift)?)?;
        let quotient = dividend.checked_div(b)?;
        let rest = dividend.checked_rem(b)?;
        let half = rest.unsigned_abs() * 2 >= b.unsigned_abs();
        let away = if (dividend < 0) == (b < 0) { 1 } else { -1 };
        let digits = if half { quotient + away } else { quotient };
        Some(Self::Exact {
            digits,
            scale: DIVISION_DIGITS,
        })
    }

    fn aligned(self, other: Self, op: fn(i128, i128) -> Option<i128>) -> Option<Self> {
        let (
            Self::Exact {
                digits: a,
                scale: m,
            },
            Self::Exact {
                digits: b,
                scale: n,
            },
        ) = (self, other)
        else {
            return None;
        };
        let scale = m.max(n);
        let a = a.checked_mul(10_i128.checked_pow(scale - m)?)?;
        let b = b.checked_mul(10_i128.checked_pow(scale - n)?)?;
        op(a, b).map(|digits| Self::Exact { digits, scale })
    }
}
