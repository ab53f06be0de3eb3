/**
 * Amazon S3 in us-east-1, dollars for a gigabyte and month, without requests and transfer. Source: https://aws.amazon.com/s3/pricing/,
 * read in November 2026. Other stores and regions differ by up to a factor of four.
 * The first price holds up to so many gigabytes, the next from there on.
 */
const STANDARD = [
  { upTo: 50_000, price: 0.023 },
  { upTo: 500_000, price: 0.022 },
  { upTo: Number.POSITIVE_INFINITY, price: 0.021 },
];

export const COLDER = { STANDARD_IA: 0.0125, GLACIER_IR: 0.004, DEEP_ARCHIVE: 0.00099 } as const;
export type ColderClass = keyof typeof COLDER;

/** Dollars a month for so many gigabytes in S3 Standard. */
export function standardPrice(gigabytes: number): number {
  let [price, from] = [0, 0];
  for (const step of STANDARD) {
    price += Math.max(0, Math.min(gigabytes, step.upTo) - from) * step.price;
    from = step.upTo;
  }
  return price;
}
