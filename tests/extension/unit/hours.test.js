import assert from "node:assert/strict";
import { test } from "node:test";

import { isWorkingTime } from "../../../extension/worker/hours.js";
import { whyNotTaking } from "../../../extension/worker/taking.js";

const WEEKDAYS = [1, 2, 3, 4, 5];
// The 20th of May 2024 was a Monday.
const at = (day, time) => new Date(`2024-05-${19 + day}T${time}:00`);
const works = (hours, day, time) => isWorkingTime({ enabled: true, days: WEEKDAYS, ...hours }, at(day, time));

test("without working hours it is always time to work", () => {
  assert.ok(isWorkingTime({ enabled: false, days: [], from: "09:00", to: "18:00" }, at(0, "03:00")));
});

test("hours of the day begin with their first minute and end before their last", () => {
  const office = { from: "09:00", to: "18:00" };
  const times = ["08:59", "09:00", "17:59", "18:00"].map((time) => works(office, 1, time));
  assert.deepEqual(times, [false, true, true, false]);
});

test("other days are free", () => {
  assert.ok(!works({ from: "09:00", to: "18:00" }, 0, "12:00"));
  assert.ok(!works({ from: "09:00", to: "18:00" }, 6, "12:00"));
});

test("hours over midnight belong to the day on which they begin", () => {
  const night = { from: "22:00", to: "06:00", days: [5] };
  assert.ok(works(night, 5, "23:00"));
  assert.ok(works(night, 6, "05:59"));
  assert.ok(!works(night, 6, "06:00"));
  assert.ok(!works(night, 6, "23:00"));
  assert.ok(!works(night, 5, "05:00"));
});

test("hours over midnight go from Saturday into Sunday", () => {
  assert.ok(works({ from: "22:00", to: "06:00", days: [6] }, 7, "01:00"));
});

test("hours that end when they begin last all day, and no longer", () => {
  const round = { from: "09:00", to: "09:00", days: [1] };
  assert.deepEqual([works(round, 1, "09:00"), works(round, 2, "08:59"), works(round, 2, "09:00")], [true, true, false]);
});

test("whoever paused takes nothing, whatever the hour", () => {
  const entry = { enabled: true };
  const hours = { enabled: true, days: [1], from: "09:00", to: "18:00" };
  const settings = { paused: false, providers: [entry], hours };
  assert.equal(whyNotTaking({ ...settings, paused: true }, at(1, "12:00")), "paused");
  assert.equal(whyNotTaking({ ...settings, providers: [{ enabled: false }] }, at(1, "12:00")), "providers");
  assert.equal(whyNotTaking(settings, at(1, "20:00")), "hours");
  assert.equal(whyNotTaking(settings, at(1, "12:00")), "");
});
