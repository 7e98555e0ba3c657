// Words of the page in English and Chinese.
const WORDS = {
  en: {
    layer: "Show", values: "Value", chance: (x, units) => `Probability of ${x} ${units} or more`, opacity: "Opacity",
    skill: "How good it has been", place: "A place over time", click: "Click the map, or press Enter on it for its middle.",
    play: "Play", pause: "Pause", observed: "observed", forecast: "forecast", frame: "Time", map: "Map of the forecast; arrows move it, Enter reads its middle",
    by: (name) => `forecast by ${name}`, instead: (name) => `forecast by ${name}, not the model that was asked for`,
    ago: (time) => `newest frame ${time} ago`, stale: (time) => `Old data: ${time} ago`,
    minutes: (n) => `${n} min`, hours: (n) => `${n} h`, days: (n) => (n === 1 ? "1 day" : `${n} days`), years: (n) => (n === 1 ? "1 year" : `${n} years`),
    better: (share, name, count) => `Better than ${name} in ${share} % of ${count} forecast${count === 1 ? "" : "s"} that met the truth.`,
    extrapolation: "extrapolation", persistence: "persistence", missing: "no data", outside: "outside", mean: "mean of members",
    waiting: "No forecast yet: waiting for frames.", lost: "No answer from the service; trying again.", none: "This service shows no map: start it with --watch or --out.",
    spread: "10 to 90 % of the members", language: "Language", credit: "Coastlines and borders: Natural Earth",
  },
  zh: {
    layer: "显示", values: "数值", chance: (x, units) => `达到 ${x} ${units} 以上的概率`, opacity: "不透明度",
    skill: "近来的准确程度", place: "某地随时间的变化", click: "点击地图，或在地图上按回车键读取中心点。",
    play: "播放", pause: "暂停", observed: "实况", forecast: "预报", frame: "时间", map: "预报地图；方向键移动，回车键读取中心点",
    by: (name) => `预报模型：${name}`, instead: (name) => `由 ${name} 代替所选模型预报`,
    ago: (time) => `最新资料为 ${time}前`, stale: (time) => `资料过旧：${time}前`,
    minutes: (n) => `${n} 分钟`, hours: (n) => `${n} 小时`, days: (n) => `${n} 天`, years: (n) => `${n} 年`,
    better: (share, name, count) => `在已有实况检验的 ${count} 次预报中，${share}% 优于${name}。`,
    extrapolation: "外推", persistence: "持续性预报", missing: "无资料", outside: "范围之外", mean: "成员平均",
    waiting: "尚无预报：正在等待资料。", lost: "服务没有应答，正在重试。", none: "此服务没有地图：请用 --watch 或 --out 启动。",
    spread: "成员的 10% 至 90%", language: "语言", credit: "海岸线与边界：Natural Earth",
  },
};

const asked = new URLSearchParams(location.search).get("lang") || localStorage.getItem("language") || navigator.language;
export let language = asked.toLowerCase().startsWith("zh") ? "zh" : "en";

export function say(name, ...values) {
  const word = WORDS[language][name];
  return typeof word === "function" ? word(...values) : word ?? name;
}

export function choose(name) {
  language = name;
  localStorage.setItem("language", name);
}

export function sayTime(iso) {
  const form = { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short" };
  return new Intl.DateTimeFormat(language === "zh" ? "zh-CN" : "en-GB", form).format(new Date(iso));
}

export function sayAge(seconds) {
  const minutes = Math.max(0, Math.round(seconds / 60));
  if (minutes < 120) return say("minutes", minutes);
  if (minutes < 48 * 60) return say("hours", Math.round(minutes / 60));
  const days = Math.round(minutes / 1440);
  return days < 730 ? say("days", days) : say("years", Math.round(days / 365.25));
}

export function sayNumber(value) {
  return Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2).replace(/0$/, "");
}
