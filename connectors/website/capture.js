// Fills a form's hidden fields with the ad click that brought the visitor; docs/website.md says how to use it.
// ES5 syntax, as Tag Manager demands of code pasted into it; the functions it calls need a browser of 2018 or later.
// After a change: make script
(function (window, document) {
  'use strict';

  var KEY = 'oplead_capture'; // in localStorage; also the mark on fields it filled, and their copies, and on documents
  var LASTS = 90 * 864e5; // milliseconds: no platform takes an older click
  var UTM = ['utm_source', 'utm_medium', 'utm_campaign'];
  var GOOGLE = ['ad_storage', 'ad_user_data'];
  var KINDS = ['gclid', 'gbraid', 'wbraid', 'fbclid', 'fbc', 'msclkid', 'fbp']; // by value: the last go first

  // What a click id looks like, as connectors/oplead/click_ids.py reads it.
  var PLAUSIBLE = /^(?=.*[a-z])[\w.-]{5,511}[\w-]$/i;
  var NO_ID = /^(cnl_|fb\.\d|(\d+(\.\d+)?e\d+|undefined|unknown|inconnu|not[-_]set|[\da-f]{8}-([\da-f]{4}-){3}[\da-f]{12})$)/i;
  // An e-mail address or a telephone number, as connectors/text.py knows them.
  var CONTACT = /@|(^|\D)((0|33 |33(?=[67]))[1-9]([ .-]?)\d\d(\4\d\d){3}|(\+|00)[1-9]([ .-]?\d){8,12})(?!\d)/;
  var FORMS = {
    fbc: /^fb\.[0-2]\.\d{13}\.(?!\d+$)[\w.-]{5,511}[\w-]$/,
    fbp: /^fb\.[0-2]\.\d{13}\.\d{1,20}$/,
    utm: /[^,]/
  };

  // In a frame, what counts is the outermost page it may look at: its address, its consent platform.
  var top = window;
  try {
    while (top.parent != top && top.parent.document) top = top.parent;
  } catch (_) {}
  var api = top.opleadCapture;
  if (api && api.values) {
    window.opleadCapture = api;
    return;
  }

  var script = document.currentScript;
  var setting = function (name, otherwise) {
    return (script && script.getAttribute('data-' + name)) || otherwise;
  };

  /** What a field's name ends with, alone or within a form's own: form_fields[externalID]. */
  var ending = function (name) {
    return ('[' + name.toLowerCase()).replace(/]$/, '');
  };

  var fields = {};
  UTM.concat('externalID').forEach(function (name) {
    fields[name] = ending(setting(name.replace(/_|(?=ID)/, '-'), name));
  });

  var arrival = top.performance.getEntriesByType('navigation')[0] || {};
  var said = {}; // what each source of consent said last; undefined where its answer is incomplete
  var kept; // the click, by kind: [value, time]
  var address, isRepeated, isSaved, isHeard, timer;

  // ── the click ──

  /** Keep the last value of a kind, with the first time it was seen. A time to come, from a wrong clock, is older. */
  var put = function (into, kind, value, at) {
    var old = into[kind];
    var now = Date.now();
    var isSound = FORMS[kind] ? FORMS[kind].test(value) : PLAUSIBLE.test(value) && !NO_ID.test(value);
    var isLast = function () {
      return at > now == old[1] > now ? at >= old[1] : at <= now;
    };
    if (isSound && Math.abs(now - at) < LASTS)
      if (!old || (old[0] + '' == value ? at < old[1] : isLast())) into[kind] = [value, at];
  };

  var putAll = function (into, entries, isOlder) {
    for (var kind in entries) if (!isOlder || !into[kind]) put(into, kind, entries[kind][0], entries[kind][1]);
  };

  var readAddress = function (url, at) {
    var found = {};
    var utm = ['', '', ''];
    new URLSearchParams(url.split('#')[0].replace(/\?/g, '&')).forEach(function (value, name) {
      name = name.toLowerCase();
      // At -1, any other name's is no entry.
      if (!CONTACT.test(value)) utm[UTM.indexOf(name)] = value.replace(/\s/g, ' ').trim().slice(0, 150);
      if (KINDS.includes(name) && !FORMS[name]) put(found, name, value, at);
    });
    put(found, 'utm', utm, at);
    return found;
  };

  /** Know what this page's addresses say, and nothing else. */
  var start = function () {
    kept = readAddress(arrival.name + '', Math.round(top.performance.timeOrigin));
    isRepeated = /load|back/.test(arrival.type);
    address = 0;
    look();
  };

  var look = function () {
    if (address != top.location.href) putAll(kept, readAddress((address = top.location.href), Date.now()));
  };

  // ── storage and cookies, touched only with consent ──

  var isSaid = function (answer) {
    return Object.values(said).includes(answer);
  };

  var isAllowed = function () {
    return isSaid(true) && !isSaid(false) && !isSaid();
  };

  var keep = function () {
    try {
      var stored = {};
      var text = localStorage[KEY];
      if (isSaved && !text) {
        said = {}; // another tab or frame erased it, since consent was withdrawn there
        return forget();
      }
      putAll(stored, JSON.parse(text || '{}'));
      putAll(stored, kept, isRepeated);
      isRepeated = 0;
      kept = stored;
      top.document.cookie.split('; ').forEach(function (cookie) {
        var fb = /^_(fb[cp])=(.*)/.exec(cookie);
        if (fb) put(kept, fb[1], fb[2], fb[1] == 'fbc' ? +fb[2].split('.')[2] : Date.now());
      });
      localStorage[KEY] = JSON.stringify(kept); // even '{}': that it is gone tells the other tabs
      isSaved = 1;
    } catch (_) {
      forget(); // storage is blocked, or holds what this script has not written
    }
  };

  var forget = function () {
    isSaved = 0;
    try {
      delete localStorage[KEY];
    } catch (_) {}
    start();
  };

  // ── fields ──

  var values = function () {
    var from = isAllowed() ? kept : {};
    var fbclid = from.fbclid;
    var all = { externalID: '' };
    UTM.forEach(function (name, at) {
      all[name] = (from.utm && from.utm[0][at]) || '';
    });
    KINDS.forEach(function (kind) {
      var id = from[kind];
      // No cookie of an earlier click than the one in the address.
      if (!id || (kind == 'fbc' && fbclid && fbclid[1] > id[1] && !id[0].includes(fbclid[0]))) return;
      var text = all.externalID + (all.externalID && '&') + kind + '=' + id[0];
      if (!FORMS[kind]) text += '&' + kind + '_ts=' + new Date(id[1]).toISOString();
      if (text.length <= setting('max-length', 500)) all.externalID = text;
    });
    return all;
  };

  var on = function (target, type, act) {
    target.addEventListener(type, act, true);
  };

  var each = function (doc, selector, act) {
    doc.querySelectorAll(selector).forEach(act);
  };

  var fill = function (doc, all) {
    if (!doc[KEY]) {
      (doc[KEY] = new MutationObserver(later)).observe(doc, { childList: true, subtree: true });
      on(doc, 'submit', refresh);
      on(doc, 'load', later); // of a frame
    }
    each(doc, 'input[type=hidden]', function (field) {
      for (var key in fields)
        if (ending(field.name).endsWith(fields[key]))
          if (!field.value || field.value == field.dataset[KEY]) field.value = field.dataset[KEY] = all[key];
    });
    each(doc, 'iframe', function (frame) {
      if (frame.contentDocument) fill(frame.contentDocument, all);
    });
  };

  var refresh = function () {
    timer = clearTimeout(timer);
    if ((top.opleadCapture || api) != api) return; // by now the page around this frame does all
    look();
    hearTcf();
    if (isAllowed()) keep();
    fill(document, values());
  };

  var later = function () {
    timer = timer || setTimeout(refresh, 100);
  };

  // ── consent ──

  var consent = function (granted, source) {
    said[source] = granted === true; // of the site itself, as undefined
    heed();
  };

  var heed = function () {
    if (isSaid(false)) forget();
    refresh();
  };

  // Purpose 1 is to store, 7 to measure advertising.
  var hearTcf = function () {
    if (isHeard || !top.__tcfapi) return;
    isHeard = 1;
    top.__tcfapi('addEventListener', 2, function (data, isKnown) {
      if (!isKnown || data.gdprApplies === false || !/loaded|complete/.test(data.eventStatus)) return;
      var purposes = data.purpose.consents;
      consent(purposes[1] && purposes[7], 'tcf');
    });
  };

  // An update is what the visitor said: both must be granted, and one it does not name stays as an earlier update left
  // it. A default is what the site assumes: for whatever region, it neither grants nor refuses.
  var hearGoogle = function (entry) {
    var update = (entry && entry[0] == 'consent' && entry[1] == 'update' && entry[2]) || {};
    if (!update[GOOGLE[0]] && !update[GOOGLE[1]]) return;
    GOOGLE.forEach(function (name) {
      said[name] = update[name] ? update[name] == 'granted' : said[name];
    });
    heed();
  };

  // All that the platform offers of these must be accepted.
  var hearAxeptio = function (choices) {
    var asked = setting('axeptio', 'google_ads,facebook_pixel').split(',').filter(function (vendor) {
      return vendor in choices;
    });
    function isAccepted(vendor) {
      return choices[vendor] === true;
    }
    if (asked[0]) consent(asked.every(isAccepted), 'axeptio');
  };

  // Before the visitor has chosen, a purpose is neither enabled nor disabled.
  var hearDidomi = function () {
    var purposes = top.Didomi.getUserStatus().purposes.consent;
    var areAllIn = function (list) {
      return setting('didomi', 'cookies,measure_ad_performance').split(',').every(function (purpose) {
        return list.includes(purpose);
      });
    };
    if (areAllIn(purposes.enabled.concat(purposes.disabled))) consent(areAllIn(purposes.enabled), 'didomi');
  };

  var queue = function (name) {
    return (top[name] = top[name] || []);
  };

  // ── from here on it runs ──

  start();
  var before = api && api.said; // what the page said before this script was there
  window.opleadCapture = api = { consent: consent, values: values };
  if (before != null) consent(before);

  var layer = queue('dataLayer');
  var push = layer.push;
  layer.forEach(hearGoogle);
  layer.push = function (entry) {
    hearGoogle(entry);
    return push.apply(layer, arguments);
  };
  queue('_axcb').push(function (sdk) {
    sdk.on('cookies:complete', hearAxeptio);
  });
  queue('didomiOnReady').push(function (sdk) {
    hearDidomi();
    sdk.on('consent.changed', hearDidomi);
  });

  ['pushState', 'replaceState'].forEach(function (name) {
    var go = history[name];
    history[name] = function () {
      go.apply(history, arguments);
      look();
      later();
    };
  });
  ['popstate', 'pageshow', 'storage'].forEach(function (type) {
    on(window, type, refresh);
  });
  for (var wait = 250; wait < 1e5; wait *= 2) setTimeout(refresh, wait); // a platform or cookie that comes late
  refresh();
})(window, document);
