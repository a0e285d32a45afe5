// An hour, a day and a week in the browser's time zone. Times are milliseconds of Unix time.

const MINUTE = 60e3;
const HOUR = 60 * MINUTE;
const midnight = (ms, days, hour = 0) => {
	const at = new Date(ms);
	return new Date(at.getFullYear(), at.getMonth(), at.getDate() + days, hour).getTime();
};

const parts = (count, part) => Array.from({ length: count }, (_, i) => [part(i), part(i + 1)]);
const strips = (count) => (first) => parts(count, (i) => midnight(first, i));
const ticks = (from) => [0, 6, 12, 18].map((hour) => midnight(from, 0, hour));

// first(ms): where a range begins that `ms` lies in the last strip of. go(first, by): where it begins `by` ranges
// later. strips(first): [[from, to], ...], one for each strip. ticks(from): times that lines stand at.
export const RANGES = {
	hour: {
		first: (ms) => ms - ((ms - midnight(ms, 0)) % HOUR),
		go: (first, by) => first + by * HOUR,
		strips: (first) => parts(6, (i) => first + i * 10 * MINUTE),
		ticks: (from) => [0, 2, 4, 6, 8].map((minutes) => from + minutes * MINUTE),
	},
	day: { first: (ms) => midnight(ms, 0), go: midnight, strips: strips(1), ticks },
	week: { first: (ms) => midnight(ms, -6), go: (first, by) => midnight(first, 7 * by), strips: strips(7), ticks },
};

export const oddHours = ([from, to]) => (to - from === 24 * HOUR || to - from < 20 * HOUR ? null : (to - from) / HOUR);

export const toField = (ms) => new Date(ms - new Date(ms).getTimezoneOffset() * MINUTE).toISOString().slice(0, 19);
export const fromField = (text) => new Date(text).getTime();
