import assert from "node:assert/strict";
import { test } from "node:test";

import { isWorkingTime } from "../../../extension/worker/working_hours.js";
import { unavailableReason } from "../../../extension/worker/availability.js";

const WEEKDAYS = [1, 2, 3, 4, 5];
// 20 May 2024 was a Monday.
const at = (day, time) => new Date(`2024-05-${19 + day}T${time}:00`);
const isWorking = (hours, day, time) => isWorkingTime({ enabled: true, days: WEEKDAYS, ...hours }, at(day, time));

test("without working hours it is always working time", () => {
  assert.ok(isWorkingTime({ enabled: false, days: [], from: "09:00", to: "18:00" }, at(0, "03:00")));
});

test("the start is inclusive and the end is exclusive", () => {
  const office = { from: "09:00", to: "18:00" };
  const times = ["08:59", "09:00", "17:59", "18:00"].map((time) => isWorking(office, 1, time));
  assert.deepEqual(times, [false, true, true, false]);
});

test("other days are not working days", () => {
  assert.ok(!isWorking({ from: "09:00", to: "18:00" }, 0, "12:00"));
  assert.ok(!isWorking({ from: "09:00", to: "18:00" }, 6, "12:00"));
});

test("hours past midnight belong to the day on which they start", () => {
  const night = { from: "22:00", to: "06:00", days: [5] };
  assert.ok(isWorking(night, 5, "23:00"));
  assert.ok(isWorking(night, 6, "05:59"));
  assert.ok(!isWorking(night, 6, "06:00"));
  assert.ok(!isWorking(night, 6, "23:00"));
  assert.ok(!isWorking(night, 5, "05:00"));
});

test("hours past midnight continue from Saturday to Sunday", () => {
  assert.ok(isWorking({ from: "22:00", to: "06:00", days: [6] }, 7, "01:00"));
});

test("hours that end at their start last exactly 24 hours", () => {
  const allDay = { from: "09:00", to: "09:00", days: [1] };
  assert.ok(isWorking(allDay, 1, "09:00"));
  assert.ok(isWorking(allDay, 2, "08:59"));
  assert.ok(!isWorking(allDay, 2, "09:00"));
});

test("no jobs are accepted when paused, without usable generators, or outside working hours", () => {
  const entry = { enabled: true };
  const hours = { enabled: true, days: [1], from: "09:00", to: "18:00" };
  const settings = { paused: false, providers: [entry], hours };
  const able = { ready: [entry], capabilities: ["image-generation", "m"] };
  const reason = (changes, time = "12:00", states = able) => {
    return unavailableReason({ ...settings, ...changes }, states, at(1, time));
  };
  assert.equal(reason({ paused: true }), "paused");
  assert.equal(reason({ providers: [{ enabled: false }] }), "providers");
  assert.equal(reason({}, "20:00"), "hours");
  assert.equal(reason({}, "12:00", { ready: [], capabilities: ["image-generation", "(none)"] }), "setup");
  assert.equal(reason({}, "12:00", { ready: [entry], capabilities: ["image-generation", "(none)"] }), "resting");
  assert.equal(reason({}), "");
});
